"""Results on disk: NIfTI files, report.json, overview.png, a submission."""
