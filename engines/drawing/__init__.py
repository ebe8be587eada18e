"""How a picture is drawn, every one of them: the mesh, the warp, the layers painted over it."""
