"""A person's running notebook server: its files, and notebooks run in its kernels."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

import httpx

from facility.client.kernel import Kernel
from facility.client.notebook import CellDone, ExecutedNotebook, run_notebook
from facility.errors import FacilityError

_QUICK_S = 30.0
_TRANSFER_S = 300.0


class NotebookServerError(FacilityError):
    """The server refused; the line says what and why."""


class NotebookServer:
    """REST and kernels of one server, through the hub's proxy.

    Paths are relative to the server's root, which is the person's home.
    """

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self._token = token
        self._client = httpx.AsyncClient(
            base_url=url,
            headers={"Authorization": f"token {token}"},
            timeout=_QUICK_S,
        )

    async def close(self) -> None:
        """Forget the connection; the server goes on."""
        await self._client.aclose()

    async def execute(
        self,
        notebook: dict[str, Any],
        *,
        path: str = "notebook.ipynb",
        on_cell: Callable[[CellDone], None] | None = None,
        timeout_s: float = 600,
    ) -> ExecutedNotebook:
        """Run all code cells in a new kernel and return the notebook with outputs.

        The notebook is stored at ``path`` before and after, also when a cell fails. The
        kernel works in the folder of ``path``, which is made if missing, and is shut
        down at the end.

        Args:
            notebook: an nbformat 4 document; it is not changed.
            path: where the notebook is stored, relative to the server's root.
            on_cell: is called after each code cell.
            timeout_s: for the whole notebook.

        Raises:
            CellError: a cell raised; carries the notebook as far as it came.
            KernelError: the kernel died, or time ran out.
        """
        folder = str(PurePosixPath(path).parent)
        if folder != ".":
            await self.make_directory(folder)
        await self.write_notebook(path, notebook)
        executed = ExecutedNotebook.of(notebook)
        try:
            async with self._kernel(path, executed.kernel_name) as kernel:
                await run_notebook(
                    kernel, executed, on_cell=on_cell, timeout_s=timeout_s
                )
        finally:
            await self.write_notebook(path, executed.document)
        return executed

    async def make_directory(self, path: str) -> None:
        """Make sure that the folder exists, with its parents."""
        done = PurePosixPath()
        for part in PurePosixPath(path).parts:
            done /= part
            await self._put(str(done), {"type": "directory"})

    async def write_notebook(self, path: str, notebook: dict[str, Any]) -> None:
        """Store the document at ``path``, in place of what is there."""
        await self._put(path, {"type": "notebook", "content": notebook})

    async def read_file(self, path: str) -> bytes:
        """Return the content of a file.

        Raises:
            NotebookServerError: there is none, or the server does not give it.
        """
        answer = await self._ask(
            "GET",
            self._contents(path),
            params={"type": "file", "format": "base64", "content": "1"},
            timeout=_TRANSFER_S,
        )
        return base64.b64decode(_checked(answer, path).json()["content"])

    async def write_file(self, path: str, content: bytes) -> None:
        """Store a file at ``path``, in place of what is there."""
        text = base64.b64encode(content).decode("ascii")
        await self._put(path, {"type": "file", "format": "base64", "content": text})

    @asynccontextmanager
    async def _kernel(self, path: str, name: str) -> AsyncIterator[Kernel]:
        answer = await self._ask(
            "POST",
            "/api/sessions",
            json={
                "type": "notebook",
                "path": path,
                "name": PurePosixPath(path).name,
                "kernel": {"name": name},
            },
            timeout=_TRANSFER_S,
        )
        session = _checked(answer, path).json()
        try:
            async with Kernel.connect(
                self.url, session["kernel"]["id"], self._token
            ) as kernel:
                yield kernel
        finally:
            # Deleting a session shuts its kernel down.
            await self._ask("DELETE", f"/api/sessions/{session['id']}")

    async def _put(self, path: str, model: dict[str, Any]) -> None:
        answer = await self._ask(
            "PUT", self._contents(path), json=model, timeout=_TRANSFER_S
        )
        _checked(answer, path)

    async def _ask(self, method: str, url: str, **options: Any) -> httpx.Response:
        try:
            return await self._client.request(method, url, **options)
        except httpx.TransportError as error:
            raise NotebookServerError(
                f"no notebook server answers at {self.url} "
                f"({str(error) or type(error).__name__}): see 'facility status'"
            ) from None

    @staticmethod
    def _contents(path: str) -> str:
        return f"/api/contents/{quote(path.strip('/'))}"


def _checked(answer: httpx.Response, path: str) -> httpx.Response:
    if answer.is_error:
        try:
            reason = str(answer.json()["message"])
        except (ValueError, TypeError, KeyError):
            reason = answer.reason_phrase
        raise NotebookServerError(
            f"{path}: the notebook server says {answer.status_code}, "
            f"{' '.join(reason.split())}"
        )
    return answer
