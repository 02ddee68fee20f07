"""Training: one loop, its losses, the teacher's cached answers, and the decision fitted on validation."""
