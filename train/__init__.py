"""Train: corpora, networks, losses and export. The only folder that imports torch."""
