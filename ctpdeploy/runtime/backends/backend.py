"""Backend: an entry of the registry."""

from collections.abc import Callable
from dataclasses import dataclass

from ctpdeploy.errors import BackendError
from ctpdeploy.runtime.backends.checked_engine import checked
from ctpdeploy.runtime.backends.engine import Engine
from ctpdeploy.runtime.backends.faults import as_backend_error
from ctpdeploy.runtime.backends.slices import SliceNetwork
from ctpdeploy.runtime.bundle.bundle import Bundle

__all__ = ["Backend"]


@dataclass(frozen=True, kw_only=True)
class Backend:
    """A way to run the networks of a bundle.

    ::

        BACKENDS["mine"] = Backend(extra=None, packages=("numpy",), open=open_engine)

    Attributes:
        extra: the extras of ctpdeploy that install it, with commas between; None where there is none.
        packages: distributions whose versions can change how fast it is, and which ``ctpdeploy doctor`` looks for.
        open: loads the networks of a bundle; called only where ``unavailable_because`` is None. The engine has read
            what it needs when it is open: the files of a zipped bundle are gone when the bundle is closed.
        unavailable_because: reason why it cannot run here and the remedy, or None; checks no more than it has to, and
            takes no memory of a GPU.
        open_network: loads one network of a bundle, by its role, to be run on its own; None where only all of them
            run together.
    """

    extra: str | None
    packages: tuple[str, ...]
    open: Callable[[Bundle], Engine]
    unavailable_because: Callable[[], str | None] = lambda: None
    open_network: Callable[[Bundle, str], SliceNetwork] | None = None

    def opened(self, bundle: Bundle, name: str) -> Engine:
        """The engine of a bundle, behind its checks.

        Args:
            bundle: whose networks it runs.
            name: of the backend, for the sentence.

        Raises:
            CtpdeployError: as ``open``.
            BackendError: also where ``open`` raises anything else.
        """
        with as_backend_error(f"The backend {name} did not open", "choose another with --backend"):
            return checked(self.open(bundle), name)

    def refusal(self) -> str | None:
        """Reason why it cannot run here and the remedy, or None; also where ``unavailable_because`` raises."""
        try:
            with as_backend_error("Whether it can run here cannot be told", "choose another with --backend"):
                return self.unavailable_because()
        except BackendError as error:
            return str(error)
