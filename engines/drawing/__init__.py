"""How a picture is drawn: the mesh, the warp, the layers painted over it. Every picture, so nothing here allocates."""
