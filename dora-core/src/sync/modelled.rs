//! The types of [`super`] for unit tests: within a model check those of the checker, which
//! lets another task go on before each use of them, and elsewhere the usual ones.

use std::fmt;
use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::sync::PoisonError;
use std::sync::atomic::{self, Ordering};

/// Whether a model check runs on this thread.
fn is_modelled() -> bool {
    shuttle::current::try_get_current_task().is_some()
}

/// Begins a task.
pub(crate) fn spawn<F: Future<Output = ()> + Send + 'static>(future: F) {
    if is_modelled() {
        // Not let go of: a run is over when this task is too, and hangs if it is never woken.
        std::mem::forget(shuttle::future::spawn(future));
    } else {
        drop(tokio::spawn(future));
    }
}

/// One of both, and what is done with either.
macro_rules! either {
    ($(#[$about:meta])* $name:ident$(<$($lifetime:lifetime,)? $type:ident>)?, $usual:ty, $modelled:ty) => {
        $(#[$about])*
        pub(crate) enum $name$(<$($lifetime,)? $type>)? {
            Usual($usual),
            Modelled($modelled),
        }
    };
}

either!(
    /// A lock.
    Mutex<T>, parking_lot::Mutex<T>, shuttle::sync::Mutex<T>
);
either!(
    /// A lock that is held.
    MutexGuard<'a, T>, parking_lot::MutexGuard<'a, T>, shuttle::sync::MutexGuard<'a, T>
);
either!(
    /// A lock that several may read behind.
    RwLock<T>, parking_lot::RwLock<T>, shuttle::sync::RwLock<T>
);
either!(
    /// A [`RwLock`] that is held to read.
    ReadGuard<'a, T>, parking_lot::RwLockReadGuard<'a, T>, shuttle::sync::RwLockReadGuard<'a, T>
);
either!(
    /// A [`RwLock`] that is held to write.
    WriteGuard<'a, T>, parking_lot::RwLockWriteGuard<'a, T>, shuttle::sync::RwLockWriteGuard<'a, T>
);
either!(
    /// A flag.
    AtomicBool, atomic::AtomicBool, shuttle::sync::atomic::AtomicBool
);
either!(
    /// A number.
    AtomicU8, atomic::AtomicU8, shuttle::sync::atomic::AtomicU8
);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        match is_modelled() {
            true => Self::Modelled(shuttle::sync::Mutex::new(value)),
            false => Self::Usual(parking_lot::Mutex::new(value)),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        match self {
            Self::Usual(lock) => MutexGuard::Usual(lock.lock()),
            Self::Modelled(lock) => MutexGuard::Modelled(lock.lock().unwrap_or_else(PoisonError::into_inner)),
        }
    }

    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        match self {
            Self::Usual(lock) => lock.try_lock().map(MutexGuard::Usual),
            Self::Modelled(lock) => lock.try_lock().ok().map(MutexGuard::Modelled),
        }
    }
}

impl<T> RwLock<T> {
    pub(crate) fn new(value: T) -> Self {
        match is_modelled() {
            true => Self::Modelled(shuttle::sync::RwLock::new(value)),
            false => Self::Usual(parking_lot::RwLock::new(value)),
        }
    }

    pub(crate) fn read(&self) -> ReadGuard<'_, T> {
        match self {
            Self::Usual(lock) => ReadGuard::Usual(lock.read()),
            Self::Modelled(lock) => ReadGuard::Modelled(lock.read().unwrap_or_else(PoisonError::into_inner)),
        }
    }

    pub(crate) fn write(&self) -> WriteGuard<'_, T> {
        match self {
            Self::Usual(lock) => WriteGuard::Usual(lock.write()),
            Self::Modelled(lock) => {
                WriteGuard::Modelled(lock.write().unwrap_or_else(PoisonError::into_inner))
            }
        }
    }
}

impl<T: Default> Default for RwLock<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mutex")
    }
}

/// Lets a guard be what it guards.
macro_rules! guards {
    ($($name:ident),*) => {$(
        impl<T> Deref for $name<'_, T> {
            type Target = T;

            fn deref(&self) -> &T {
                match self {
                    Self::Usual(guard) => guard,
                    Self::Modelled(guard) => guard,
                }
            }
        }
    )*};
}

/// Lets what is guarded be changed.
macro_rules! guards_mut {
    ($($name:ident),*) => {$(
        impl<T> DerefMut for $name<'_, T> {
            fn deref_mut(&mut self) -> &mut T {
                match self {
                    Self::Usual(guard) => guard,
                    Self::Modelled(guard) => guard,
                }
            }
        }
    )*};
}

guards!(MutexGuard, ReadGuard, WriteGuard);
guards_mut!(MutexGuard, WriteGuard);

/// What is done with an atomic.
macro_rules! atomic {
    ($($name:ident: $value:ty),*) => {$(
        impl $name {
            pub(crate) fn new(value: $value) -> Self {
                match is_modelled() {
                    true => Self::Modelled(shuttle::sync::atomic::$name::new(value)),
                    false => Self::Usual(atomic::$name::new(value)),
                }
            }

            pub(crate) fn load(&self, ordering: Ordering) -> $value {
                match self {
                    Self::Usual(atomic) => atomic.load(ordering),
                    Self::Modelled(atomic) => atomic.load(ordering),
                }
            }

            pub(crate) fn store(&self, value: $value, ordering: Ordering) {
                match self {
                    Self::Usual(atomic) => atomic.store(value, ordering),
                    Self::Modelled(atomic) => atomic.store(value, ordering),
                }
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.load(Ordering::Relaxed).fmt(f)
            }
        }
    )*};
}

atomic!(AtomicBool: bool, AtomicU8: u8);
