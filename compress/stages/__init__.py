"""The stages: one file or folder each, with `run(config, inputs, context, folder) -> Made`. None imports another."""
