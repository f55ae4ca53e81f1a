"""``python -m ctpdeploy.runtime.backends.native`` compiles the kernels where installing ctpdeploy found no compiler."""

from ctpdeploy.runtime.backends.native.build import main

if __name__ == "__main__":
    main()
