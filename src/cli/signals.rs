//! What signals do to a gateway that serves. None ends it but SIGTERM, SIGINT and SIGQUIT, and those let it drain; what
//! cannot be caught, such as SIGKILL, and faults of the processor end it too. An abort of its own ends it as before.

use std::io;
use std::sync::Arc;

use nix::sys::signal::SigSet;
use rustix::process::Signal as Number;
use tokio::runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::app::RunningGateway;
use crate::services::Actor;

/// Signals that would end the process and mean nothing here, by the names that they have.
const MEANINGLESS: [(Number, &str); 12] = [
    (Number::TRAP, "SIGTRAP"),
    (Number::ABORT, "SIGABRT"),
    (Number::SYS, "SIGSYS"),
    (Number::USR2, "SIGUSR2"),
    (Number::ALARM, "SIGALRM"),
    (Number::VTALARM, "SIGVTALRM"),
    (Number::PROF, "SIGPROF"),
    (Number::IO, "SIGIO"),
    (Number::POWER, "SIGPWR"),
    (Number::STKFLT, "SIGSTKFLT"),
    (Number::XCPU, "SIGXCPU"),
    (Number::XFSZ, "SIGXFSZ"),
];

/// Signals without a name, SIGRTMIN to SIGRTMAX: they would end the process too.
const REAL_TIME: std::ops::RangeInclusive<i32> = 34..=64;

/// Signals that operators send to a gateway, at any moment of its life.
const SENT: [nix::sys::signal::Signal; 3] = [
    nix::sys::signal::Signal::SIGHUP,
    nix::sys::signal::Signal::SIGUSR1,
    nix::sys::signal::Signal::SIGUSR2,
];

/// Has them wait, in this thread and those that it makes: whoever has not caught them yet would end by them.
pub(super) fn block() {
    // It cannot fail with signals that exist.
    let _ = SigSet::from_iter(SENT).thread_block();
}

/// Lets them through again, those first that wait.
pub(super) fn unblock() {
    let _ = SigSet::from_iter(SENT).thread_unblock();
}

/// Signals to a gateway, which come to nothing until it serves.
pub(super) struct Requests {
    hangup: Signal,
    reopen: Signal,
}

impl Requests {
    /// From now on these signals are kept, those as well that were sent since [`block`], and others that would end the process are no more than logged.
    pub(super) fn catch() -> io::Result<Self> {
        for (number, name) in MEANINGLESS {
            ignore(SignalKind::from_raw(number.as_raw()), name.to_owned())?;
        }
        for number in REAL_TIME {
            ignore(SignalKind::from_raw(number), format!("signal {number}"))?;
        }
        let requests = Self {
            hangup: signal(SignalKind::hangup())?,
            reopen: signal(SignalKind::user_defined1())?,
        };
        unblock();
        Ok(requests)
    }

    /// SIGHUP reloads, SIGUSR1 opens the logs again. The log tells how either ended.
    pub(super) async fn obey(mut self, serving: Arc<RunningGateway>) {
        loop {
            tokio::select! {
                Some(()) = self.hangup.recv() => {
                    let _ = serving.reload(&Actor::operator("SIGHUP")).await;
                }
                Some(()) = self.reopen.recv() => serving.reopen_logs(),
                else => return,
            }
        }
    }
}

fn ignore(kind: SignalKind, name: String) -> io::Result<()> {
    let mut signals = signal(kind)?;
    tokio::spawn(async move {
        while signals.recv().await.is_some() {
            tracing::warn!(signal = name, "a signal that means nothing to the gateway");
        }
    });
    Ok(())
}

/// Cancelled by the first SIGTERM, SIGINT or SIGQUIT; the second ends the process at once.
pub(super) fn stop_on_signal() -> io::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let token = stop.clone();
    // On a thread of its own: it is there whatever else blocks, and when all else has ended.
    let runtime = runtime::Builder::new_current_thread().enable_io().build()?;
    let signals = {
        let _entered = runtime.enter();
        let kinds = [
            SignalKind::terminate(),
            SignalKind::interrupt(),
            SignalKind::quit(),
        ];
        let [terminate, interrupt, quit] = kinds.map(signal);
        [terminate?, interrupt?, quit?]
    };
    std::thread::Builder::new()
        .name("stop".to_owned())
        .spawn(move || runtime.block_on(stop_at(signals, token)))?;
    Ok(stop)
}

async fn stop_at([mut terminate, mut interrupt, mut quit]: [Signal; 3], stop: CancellationToken) {
    loop {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = quit.recv() => {}
        }
        if stop.is_cancelled() {
            tracing::warn!("told to stop again: requests that were being served are lost");
            std::process::exit(1);
        }
        tracing::info!("stopping: requests that are being served are completed");
        stop.cancel();
    }
}
