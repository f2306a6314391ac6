"""Threads of NumPy's linear algebra, for programs that own their process."""

from __future__ import annotations

from threadpoolctl import threadpool_limits


def limit_blas_threads() -> None:
    """Lets NumPy's linear algebra run on one thread from now on, in the whole process.

    Only the eigen methods use it, for matrices so small that threads wait longer than they work: 0.1 ms on one
    thread, 16 ms and more on two threads of busy cores. It would also start one thread for each of the host's
    cores, whatever the container's quota is.
    """
    threadpool_limits(limits=1, user_api="blas")
