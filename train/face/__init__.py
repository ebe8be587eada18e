"""Stage 2, the picture: geometry, teeth, smiles and the network of the generator, trials, and the report on faces."""
