"""``python -m ctpdeploy.runtime.native`` compiles the kernels where installing ctpdeploy found no compiler."""

from ctpdeploy.runtime.native.build import main

if __name__ == "__main__":
    main()
