"""The bundle: sealed networks with their manifest, as export writes them and the workstation opens them."""
