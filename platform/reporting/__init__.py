"""The report: one self-contained HTML file, its sections one file each."""
