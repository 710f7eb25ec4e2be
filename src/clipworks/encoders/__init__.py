"""The one interface between arrays and models, and the artefact that it runs: the bundle."""
