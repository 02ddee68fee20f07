"""Report and its renderings. Import the module you need: `report`, `markdown`, `picture`."""
