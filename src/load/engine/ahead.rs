//! Opens connections before the first request.

use super::{CONNECT_TIMEOUT, EVENTS, Engine, LoadError, TICK, of_duration};

/// Connections that are opened at once before the start: half of the smallest common backlog (128).
const HANDSHAKES: usize = 64;

impl Engine {
    /// Opens connections before the start, a few at a time, so that no first request includes a handshake. Beyond a server's
    /// backlog the kernel drops handshakes, and retries a second later. A server that refuses them is detected later, by its
    /// failed requests.
    pub(super) fn connect_ahead(&mut self, connections: usize) -> Result<(), LoadError> {
        let mut events = Vec::with_capacity(EVENTS);
        let give_up = self.clock.now() + of_duration(CONNECT_TIMEOUT);
        let mut to_open = connections;
        loop {
            let slots = self.slots.iter();
            let mut opening = slots
                .filter(|slot| slot.connection.is_some() && slot.writes)
                .count();
            while to_open > 0 && opening < HANDSHAKES {
                to_open -= 1;
                let slot = self.vacant();
                if self.open(slot).is_ok() {
                    opening += 1;
                } else {
                    self.empty.push(slot);
                    // If one cannot be opened, the others cannot either.
                    to_open = 0;
                }
            }
            if opening == 0 || self.clock.now() >= give_up {
                return Ok(());
            }
            self.check_cancelled()?;
            self.wait(&mut events, TICK)?;
            for event in events.drain(..) {
                if let Some(slot) = self.slot_of(&event) {
                    self.serve(slot, event.flags)?;
                }
            }
        }
    }
}
