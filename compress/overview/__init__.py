"""What a recipe's data are, before anything is trained: tokens counted, tables, data.md and data.svg."""
