"""A library in C that answers for libcuda: its prototypes are those of cuda.h.

It notes each call, checks what it is given, and returns an error from the function that it is told to.
"""

import ctypes
import shutil
import subprocess
from pathlib import Path

import pytest

LIBCUDA = r"""
#include <stdint.h>
#include <string.h>

typedef int CUresult;
typedef struct stream *CUstream;
typedef struct graph *CUgraph;
typedef struct executable *CUgraphExec;
typedef enum { GLOBAL = 0, THREAD_LOCAL = 1, RELAXED = 2 } CUstreamCaptureMode;

static char called[4096];
static const char *failing = "";
static CUresult error;
static CUstream begun;
static void *const GRAPH = (void *)0xdef123456789, *const EXECUTABLE = (void *)0xabc987654321;

const char *calls(void) { return called; }
uintptr_t stream(void) { return (uintptr_t)begun; }
void fail(const char *function, CUresult status) { failing = strdup(function), error = status; }

static CUresult note(const char *function, int right) {
    strcat(strcat(called, function), " ");
    if (strcmp(failing, function) == 0) return error;
    return right ? 0 : 1;  // CUDA_ERROR_INVALID_VALUE
}

CUresult cuStreamBeginCapture_v2(CUstream stream, CUstreamCaptureMode mode) {
    begun = stream;
    return note("begin", mode == THREAD_LOCAL);
}
CUresult cuStreamEndCapture(CUstream stream, CUgraph *graph) {
    CUresult status = note("end", stream == begun);
    *graph = status ? 0 : GRAPH;
    return status;
}
CUresult cuGraphInstantiateWithFlags(CUgraphExec *executable, CUgraph graph, unsigned long long flags) {
    CUresult status = note("instantiate", (void *)graph == GRAPH && flags == 0);
    *executable = status ? 0 : EXECUTABLE;
    return status;
}
CUresult cuGraphLaunch(CUgraphExec executable, CUstream stream) {
    return note("launch", (void *)executable == EXECUTABLE && stream == begun);
}
CUresult cuGraphExecDestroy(CUgraphExec executable) { return note("destroy", (void *)executable == EXECUTABLE); }
CUresult cuGraphDestroy(CUgraph graph) { return note("forget", (void *)graph == GRAPH); }
"""


def compile_libcuda(folder: Path, source: str = LIBCUDA) -> Path:
    """The library; another file is another one, with a state of its own."""
    if shutil.which("gcc") is None:
        pytest.skip("There is no gcc: the stand-in for libcuda cannot be compiled.")
    (folder / "cuda.c").write_text(source)
    subprocess.run(["gcc", "-fPIC", "-shared", "-o", "libcuda.so.1", "cuda.c"], cwd=folder, check=True)
    return folder / "libcuda.so.1"


class Libcuda:
    """What the library has been called for, and how to make it fail."""

    def __init__(self, path: Path) -> None:
        self._library = ctypes.CDLL(str(path))
        self._library.calls.restype = ctypes.c_char_p
        self._library.stream.restype = ctypes.c_size_t

    @property
    def calls(self) -> list[str]:
        """In their order: begin, end, instantiate, forget (the graph), launch, destroy (its executable form)."""
        return self._library.calls().decode().split()

    @property
    def stream(self) -> int:
        """Handle of the stream of the last capture."""
        return self._library.stream()

    def fail(self, call: str, status: int) -> None:
        """Let a call return a status from now on; 0 lets all succeed again."""
        self._library.fail(call.encode(), status)
