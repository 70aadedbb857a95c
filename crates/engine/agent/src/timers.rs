//! Time: life and idle time of the sandbox, timeouts of commands. One timer on the boot-time clock serves all.

use crate::protocol::{flag, reason};
use crate::serve::Server;
use crate::{end, hold, signals, sys};

/// Acts on what is over and sets the timer for what comes next.
pub(crate) fn check(server: &mut Server) {
    let now = sys::now(sys::CLOCK_BOOTTIME);
    if due(life_end(server), now) {
        end::sandbox(server, reason::TIMEOUT, 0);
    }
    if due(idle_end(server), now) {
        end::sandbox(server, reason::IDLE, 0);
    }
    for index in 0..server.used {
        let exec = &mut server.execs[index];
        if exec.lives() && due(exec.deadline_ns, now) {
            exec.deadline_ns = 0;
            exec.flags |= flag::TIMED_OUT;
            signals::kill_tree(exec);
        }
    }
    hold::look_again(server, now);
    set(server);
}

/// Sets the timer for the nearest deadline.
fn set(server: &mut Server) {
    let commands =
        server.execs[..server.used].iter().filter(|exec| exec.lives()).map(|exec| exec.deadline_ns);
    let ends = [life_end(server), idle_end(server), hold::next_look(server)];
    let nearest = commands.chain(ends).filter(|at| *at != 0).min();
    // Zero disarms.
    sys::arm(server.timer.raw(), nearest.unwrap_or(0));
    server.timers_changed = false;
}

fn due(at: u64, now: u64) -> bool {
    at != 0 && at <= now
}

fn life_end(server: &Server) -> u64 {
    match server.plan.lifetime_ns {
        0 => 0,
        lifetime => server.started_ns.saturating_add(lifetime),
    }
}

/// Idle time counts from the last request, the last command's end, or the last end of a connection to a published port.
fn idle_end(server: &Server) -> u64 {
    match server.plan.idle_ns {
        0 => 0,
        _ if server.running > 0 || server.relays.open > 0 => 0,
        idle => server.active_ns.saturating_add(idle),
    }
}
