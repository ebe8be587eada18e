"""One vendor library a file; each is optional and imported only when it is opened."""
