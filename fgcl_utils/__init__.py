"""Contrastive learning for fine-grained recognition: the working parts of the study."""
