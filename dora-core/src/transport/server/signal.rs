//! Signals of the process: which end a server, and which reload it.

use std::future::{Future, pending};

use crate::call::trace::SERVER;

use super::control::Control;

/// Ends when the process is asked to end: by SIGTERM (an init system, `docker
/// stop`) or SIGINT (Ctrl-C); on Windows by Ctrl-C, Ctrl-Break, or the end of
/// the system. What a server's `serve_with_shutdown` waits for.
///
/// The signals are taken over when this is called, not when it is first awaited.
/// From then on SIGUSR1, which tells a Swoole server to reload, does not end the
/// process either; [`Control`] has a hook for it. A second SIGTERM does nothing
/// that the first did not: how long the end takes is bounded by the server's
/// drain timeout.
///
/// ```no_run
/// # async fn demo() -> Result<(), dora::ServeError> {
/// use dora::Server;
/// use dora::shutdown_signal;
///
/// Server::builder().serve_with_shutdown("0.0.0.0:9567", shutdown_signal()).await?;
/// println!("drained");
/// # Ok(())
/// # }
/// ```
///
/// # Panics
/// Outside of a tokio runtime that has I/O enabled.
#[must_use = "the signals are taken over: without this the process ignores them"]
pub fn shutdown_signal() -> impl Future<Output = ()> + Send + 'static {
    let mut ends = system::Ends::listen();
    system::ignore_reload();
    async move {
        let signal = ends.next().await;
        tracing::info!(target: SERVER, signal, "the process is asked to end");
    }
}

/// `signal`, and until it ends the hook of `control` is run at each SIGUSR1.
pub(crate) async fn until(signal: impl Future<Output = ()>, control: Control) {
    tokio::select! {
        biased;
        () = signal => {}
        () = reload_at_signals(control) => {}
    }
}

/// Never ends.
async fn reload_at_signals(control: Control) {
    if control.has_reload() {
        let mut reloads = system::Reloads::listen();
        loop {
            reloads.next().await;
            tracing::info!(target: SERVER, "SIGUSR1: reloading");
            control.reload();
        }
    }
    pending().await
}

#[cfg(unix)]
mod system {
    use std::future::pending;

    use tokio::signal::unix::{Signal, SignalKind, signal};

    use crate::call::trace::SERVER;

    pub(super) struct Ends {
        terminate: Listener,
        interrupt: Listener,
    }

    impl Ends {
        pub(super) fn listen() -> Self {
            Self {
                terminate: Listener::new(SignalKind::terminate()),
                interrupt: Listener::new(SignalKind::interrupt()),
            }
        }

        pub(super) async fn next(&mut self) -> &'static str {
            tokio::select! {
                () = self.terminate.next() => "SIGTERM",
                () = self.interrupt.next() => "SIGINT",
            }
        }
    }

    pub(super) struct Reloads(Listener);

    impl Reloads {
        pub(super) fn listen() -> Self {
            Self(Listener::new(SignalKind::user_defined1()))
        }

        pub(super) async fn next(&mut self) {
            self.0.next().await;
        }
    }

    /// Once listened to, a signal keeps its new meaning for the life of the process.
    pub(super) fn ignore_reload() {
        drop(Reloads::listen());
    }

    /// `None` when the system refuses: then the signal does what it does by default.
    struct Listener(Option<Signal>);

    impl Listener {
        fn new(kind: SignalKind) -> Self {
            let listening = signal(kind);
            if let Err(error) = &listening {
                tracing::warn!(target: SERVER, ?kind, %error, "cannot listen for a signal");
            }
            Self(listening.ok())
        }

        async fn next(&mut self) {
            match &mut self.0 {
                // `None` would mean that the runtime ends, and this task with it.
                Some(signal) => drop(signal.recv().await),
                None => pending().await,
            }
        }
    }
}

#[cfg(windows)]
mod system {
    use std::future::pending;
    use std::io;

    use tokio::signal::windows::{CtrlBreak, CtrlC, CtrlShutdown, ctrl_break, ctrl_c, ctrl_shutdown};

    use crate::call::trace::SERVER;

    pub(super) struct Ends {
        c: Option<CtrlC>,
        ctrl_break: Option<CtrlBreak>,
        shutdown: Option<CtrlShutdown>,
    }

    impl Ends {
        pub(super) fn listen() -> Self {
            Self { c: heard(ctrl_c()), ctrl_break: heard(ctrl_break()), shutdown: heard(ctrl_shutdown()) }
        }

        pub(super) async fn next(&mut self) -> &'static str {
            let Self { c, ctrl_break, shutdown } = self;
            tokio::select! {
                Some(_) = async { c.as_mut()?.recv().await } => "Ctrl-C",
                Some(_) = async { ctrl_break.as_mut()?.recv().await } => "Ctrl-Break",
                Some(_) = async { shutdown.as_mut()?.recv().await } => "shutdown",
                else => pending().await,
            }
        }
    }

    /// There is no such signal.
    pub(super) struct Reloads;

    impl Reloads {
        pub(super) fn listen() -> Self {
            Self
        }

        pub(super) async fn next(&mut self) {
            pending().await
        }
    }

    pub(super) fn ignore_reload() {}

    fn heard<T>(listening: io::Result<T>) -> Option<T> {
        if let Err(error) = &listening {
            tracing::warn!(target: SERVER, %error, "cannot listen for a signal");
        }
        listening.ok()
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::process::Command;
    use std::sync::mpsc;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    fn raise(signal: &str) {
        let kill = Command::new("kill").args([signal, &std::process::id().to_string()]).status();
        assert!(kill.expect("kill runs").success());
    }

    /// One test, for the signals reach all of the process.
    #[tokio::test]
    async fn each_signal_has_its_meaning() {
        let patience = Duration::from_secs(10);
        let (reloaded, reloads) = mpsc::channel();
        let control = Control::at_signal(move || {
            reloaded.send(()).expect("the test waits");
            panic!("a hook that fails");
        });
        for signal in ["-TERM", "-INT"] {
            let end = shutdown_signal();
            let serving = tokio::spawn(until(end, control.clone()));
            // The hook listens since its first poll, which a signal may precede:
            // that one is ignored, and the next one heard.
            for _ in 0..2 {
                let heard = async {
                    while reloads.try_recv().is_err() {
                        raise("-USR1");
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                };
                timeout(patience, heard).await.expect("the hook runs, also after it has panicked");
            }
            assert!(!serving.is_finished(), "a reload is no end");
            raise(signal);
            timeout(patience, serving).await.expect(signal).expect("it does not panic");
        }
    }
}
