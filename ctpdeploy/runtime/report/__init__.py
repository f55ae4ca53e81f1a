"""Writers of results: NIfTI files, report.json, overview.png, a submission."""
