"""`python -m clipworks` is the command `clipworks`."""

from clipworks.cli.main import main

main()
