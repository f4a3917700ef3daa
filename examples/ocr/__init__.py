"""OCR: a job whose worker reads a volume's page images with Tesseract."""
