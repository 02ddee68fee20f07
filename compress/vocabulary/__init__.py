"""Vocabularies: which pieces a student reads, learnt from train and unlabeled, or cut from its teacher's."""
