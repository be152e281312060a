//! Signals of a serving gateway. Only SIGTERM, SIGINT and SIGQUIT end it, and let it drain; so do, at once,
//! those that cannot be caught, such as SIGKILL, and faults. An abort of its own ends it as usual.

use std::io;
use std::sync::Arc;

use nix::sys::signal::SigSet;
use rustix::process::Signal as Number;
use tokio::runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::app::RunningGateway;
use crate::services::Actor;

/// Signals without a meaning here that would end the process, with their names.
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

/// Signals without names, SIGRTMIN to SIGRTMAX, which would end the process too.
const REAL_TIME: std::ops::RangeInclusive<i32> = 34..=64;

/// Signals that operators may send at any time.
const SENT: [nix::sys::signal::Signal; 3] = [
    nix::sys::signal::Signal::SIGHUP,
    nix::sys::signal::Signal::SIGUSR1,
    nix::sys::signal::Signal::SIGUSR2,
];

/// Blocks these signals in this thread and its later children: an uncaught one would end the process.
pub(super) fn block() {
    // Cannot fail for valid signals.
    let _ = SigSet::from_iter(SENT).thread_block();
}

/// Unblocks these signals; pending ones are delivered first.
pub(super) fn unblock() {
    let _ = SigSet::from_iter(SENT).thread_unblock();
}

/// The operator's signals to a gateway, which are pending until it serves.
pub(super) struct Requests {
    hangup: Signal,
    reopen: Signal,
}

impl Requests {
    /// Catches the operator's signals, including those that are pending since [`block`]; others that would
    /// end the process are only logged.
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

    /// Reloads on SIGHUP and reopens the logs on SIGUSR1; logs the result.
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

/// Returns a token that the first SIGTERM, SIGINT or SIGQUIT cancels; the second one ends the process at
/// once.
pub(super) fn stop_on_signal() -> io::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let token = stop.clone();
    // On a thread of its own, which works even if everything else blocks or has ended.
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
