//! The way into the interpreter, shut before it ends.
//!
//! `Py_FinalizeEx` ends a thread that comes back to the interpreter in the middle of its work, up to Python 3.13 by
//! `pthread_exit` ("Cautions regarding runtime finalization" in Python's C API): with frames of Rust below, the process
//! crashes. So the hook that runs at exit waits for those that are inside, and lets no other in.

use std::cell::Cell;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;
use std::time::Duration;

use pyo3::prelude::*;

use crate::{logging, runtime};

/// How long the end of the interpreter waits for code of the user that was called and has not returned.
const LAST_CALLS: Duration = Duration::from_secs(10);

struct Door {
    inside: usize,
    /// The thread that ends the interpreter: it goes on using it.
    shut_by: Option<ThreadId>,
    /// Nobody is waited for any more.
    locked: bool,
}

static DOOR: Mutex<Door> = Mutex::new(Door { inside: 0, shut_by: None, locked: false });
static LEFT: Condvar = Condvar::new();

thread_local! {
    /// How many passes this thread holds: code of the user that was called may itself call us.
    static HELD: Cell<usize> = const { Cell::new(0) };
}

fn door() -> MutexGuard<'static, Door> {
    DOOR.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Held by who is inside, and until it is out again.
struct Pass(());

impl Pass {
    fn get() -> Option<Self> {
        let mut door = door();
        let is_shut = door.shut_by.is_some_and(|closer| closer != std::thread::current().id());
        if is_shut && (door.locked || HELD.get() == 0) {
            return None;
        }
        door.inside += 1;
        HELD.set(HELD.get() + 1);
        Some(Self(()))
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        HELD.set(HELD.get() - 1);
        door().inside -= 1;
        LEFT.notify_all();
    }
}

/// Runs `work` with the interpreter on a thread of ours; None where the interpreter is closing.
pub(crate) fn attach<T>(work: impl FnOnce(Python<'_>) -> T) -> Option<T> {
    let _pass = Pass::get()?;
    Python::try_attach(work)
}

/// Runs `work` without the interpreter on a thread of Python. A daemon thread that wants back when the interpreter is
/// closing stays where it is, as in Python 3.14.
pub(crate) fn detach<T: Send>(py: Python<'_>, work: impl FnOnce() -> T + Send) -> T {
    let (done, _pass) = py.detach(|| {
        let done = work();
        loop {
            match Pass::get() {
                Some(pass) => return (done, pass),
                None => std::thread::park(),
            }
        }
    });
    done
}

/// The hook at exit: what is to be logged is, those who are inside come out, and nobody else gets in.
#[pyfunction]
pub(crate) fn close(py: Python<'_>) {
    // A forked child has none of the threads that it would wait for.
    if runtime::is_forked() {
        return;
    }
    logging::close(py);
    door().shut_by = Some(std::thread::current().id());
    py.detach(|| {
        let waited = LEFT.wait_timeout_while(door(), LAST_CALLS, |door| door.inside > 0);
        waited.unwrap_or_else(PoisonError::into_inner).0.locked = true;
    });
}
