"""The archive: OCR of volumes that a catalogue in SQL names, with its results in SQL."""
