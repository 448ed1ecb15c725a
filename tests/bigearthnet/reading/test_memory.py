from __future__ import annotations

import gc
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from bigearthnet.reading import memory
from bigearthnet.reading.memory import Recycler, fill_in_parallel, make_aligned


@pytest.mark.parametrize("shape", [(1,), (3, 5), (256, 4, 120, 120)])
def test_arrays_begin_where_tensorflow_takes_them_over(shape: tuple[int, ...]) -> None:
    """New and recycled arrays stand at multiples of 64 bytes, and can be written to."""
    recycler = Recycler()
    for array in (make_aligned(shape, "uint16"), recycler.take(shape, "uint16")):
        assert (shape, np.uint16) == (array.shape, array.dtype)
        assert 0 == array.ctypes.data % 64
        assert array.flags.writeable
        assert array.flags.c_contiguous


def test_memory_comes_back_when_nobody_uses_it() -> None:
    """The next array of as many bytes, of any shape, takes the same place."""
    recycler = Recycler()
    first = recycler.take((4, 2**18), "uint16")
    place = first.ctypes.data
    del first

    assert place == recycler.take((2**19,), "uint32").ctypes.data


def test_a_shorter_array_takes_the_smallest_memory_that_fits() -> None:
    """A last, short batch finds room; memory of more than twice its size is left."""
    recycler = Recycler()
    sizes = [2**22, 2**20, 2**20 + 64, 2**18]
    arrays = [recycler.take((size,), "uint8") for size in sizes]
    places = [array.ctypes.data for array in arrays]
    del arrays

    shorter = recycler.take((2**18, 3), "uint8")
    same = recycler.take((2**18,), "uint8")
    other = recycler.take((2**19 - 1,), "uint8")

    assert places[1] == shorter.ctypes.data
    assert places[3] == same.ctypes.data
    assert other.ctypes.data not in places
    shorter[:] = 7
    assert 3 * 2**18 == shorter.nbytes == np.count_nonzero(shorter)


def test_memory_of_few_arrays_is_kept() -> None:
    """Arrays of ever larger sizes do not pile up; the latest are kept."""
    recycler = Recycler()
    places = {}
    for n in range(30):
        array = recycler.take((2**18 + n,), "uint8")
        places[n] = array.ctypes.data
        del array

    assert memory._MAX_FREE == len(recycler._free)
    assert places[29] == recycler.take((2**18 + 29,), "uint8").ctypes.data
    assert 2**18 not in [kept.nbytes for kept in recycler._free]


def test_small_arrays_are_not_kept() -> None:
    """What the system hands out as fast goes back to it."""
    recycler = Recycler()
    recycler.take((memory._MIN_RECYCLED_NBYTES - 1,), "uint8")

    assert not recycler._free


def test_memory_in_use_is_not_handed_out() -> None:
    """An array that is there keeps its memory."""
    recycler = Recycler()
    first, second = (recycler.take((2**19,), "uint8") for _ in range(2))

    assert not np.shares_memory(first, second)


def test_a_view_keeps_the_memory() -> None:
    """A row, a slice or another type of an array is a use of it."""
    recycler = Recycler()
    views = {
        "row": lambda array: array[1],
        "view of a view": lambda array: array[1:][:, 2:].T,
        "bytes": lambda array: array.view(np.uint8),
        "buffer": lambda array: memoryview(array)[1:],
    }
    for name, make_view in views.items():
        array = recycler.take((400, 600), "uint16")
        array[:] = np.arange(240_000).reshape(400, 600)
        view = make_view(array)
        expected = np.array(view)
        del array
        gc.collect()
        recycler.take((400, 600), "uint16")[:] = 999
        np.testing.assert_array_equal(expected, np.asarray(view), err_msg=name)


def test_a_tensor_keeps_the_memory() -> None:
    """What TensorFlow took over without a copy stays as it is."""
    import tensorflow as tf

    recycler = Recycler()

    def make(number: np.int64) -> np.ndarray:
        array = recycler.take((500, 500), "uint16")
        array[:] = number
        return array

    dataset = tf.data.Dataset.range(8).map(
        lambda number: tf.numpy_function(make, [number], tf.uint16)
    )
    tensors = list(dataset)

    assert list(range(8)) == [int(np.unique(tensor.numpy())[0]) for tensor in tensors]
    assert all(1 == len(np.unique(tensor.numpy())) for tensor in tensors)


@pytest.mark.parametrize("nbytes", [1, memory._PARALLEL_NBYTES])
@pytest.mark.parametrize("rows", [0, 1, 2, 7])
def test_every_row_is_filled_once(rows: int, nbytes: int) -> None:
    """Small arrays are filled by one thread, large ones by two."""
    counts = np.zeros(rows, int)

    def fill(first: int, last: int) -> None:
        counts[first:last] += 1

    fill_in_parallel(fill, rows, nbytes)

    assert [1] * rows == counts.tolist()


@pytest.mark.parametrize("failing", [0, 5])
def test_an_error_of_either_thread_is_raised(failing: int) -> None:
    """Neither half can fail unseen."""

    def fill(first: int, last: int) -> None:
        if first == failing:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fill_in_parallel(fill, 10, memory._PARALLEL_NBYTES)


def test_a_forked_process_has_a_thread_of_its_own() -> None:
    """The second thread is not there after a fork; another is started."""
    code = """
        import os
        from bigearthnet.reading import memory

        def count():
            done = []
            memory.fill_in_parallel(
                lambda first, last: done.append(last - first), 9, 2**30
            )
            return sum(done)

        assert 9 == count()
        child = os.fork()
        if not child:
            os._exit(count())
        assert 9 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert 0 == done.returncode, done.stderr
