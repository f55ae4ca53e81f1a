"""``python -m ctpdeploy``."""

from ctpdeploy.cli import main

main()
