//! What came on a connection, and whom it is for.

use std::task::Waker;

use bytes::Bytes;

use crate::call::capabilities::Capabilities;
use crate::call::dora_code;
use crate::call::status::Status;
use crate::guid::Guid;
use crate::pack::envelope::Shape;
use crate::pack::packet::ResponsePacket;
use crate::transport::io::diagnose::{Begun, is_unsigned};
use crate::wire::decoder::Frame;
use crate::wire::error::FrameError;
use crate::wire::notice::Notice;

use super::connection::Connection;
use super::diagnose;
use super::link_state::LinkState;
use super::table::Answer;
use crate::carry::answer::read;

/// What has come and is not handed over yet.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    pub(super) acquaintance: Acquaintance,
    /// Kept between polls for their memory.
    answers: Vec<(Addressee, Answer)>,
    wakers: Vec<Waker>,
}

/// How well the peer is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Acquaintance {
    /// It has said nothing that makes sense.
    #[default]
    Stranger,
    /// It has answered a call, but not said what it can.
    Answered,
    /// It has said what it can, or shown that it is no Dora server.
    Known,
}

/// Whom an answer is for.
#[derive(Debug)]
enum Addressee {
    /// The call of this guid.
    Guid(Guid),
    /// The only call that waits: an answer without a guid.
    Only,
    /// Nobody that could be told.
    Unknown,
}

/// Answers that are handed over under one lock.
const BATCH: usize = 256;

impl Connection {
    /// Hands whole frames to their callers, up to `most`, which it lowers.
    ///
    /// # Errors
    /// The connection is of no more use.
    pub(super) fn deliver(&mut self, most: &mut usize) -> Result<(), Status> {
        loop {
            let take = BATCH.min(*most);
            let collected = self.collect(take);
            *most -= self.arrivals.answers.len().min(*most);
            let full = take > 0 && self.arrivals.answers.len() == take;
            // What came before a fault is still good.
            self.hand_over();
            collected?;
            if !full {
                return Ok(());
            }
        }
    }

    /// Cuts up to `most` answers off what was read.
    fn collect(&mut self, most: usize) -> Result<(), Status> {
        while self.arrivals.answers.len() < most {
            match self.inbox.next_frame() {
                Ok(None) => return self.expect_dora(),
                Ok(Some(frame)) => self.collect_frame(frame)?,
                Err(ref error @ FrameError::Signature { guid, .. }) if self.may_be_ours(error, guid) => {
                    let said = match self.arrivals.acquaintance {
                        Acquaintance::Stranger => diagnose::signature(),
                        _ => "the answer's signature is wrong: it was changed on its way",
                    };
                    let status = Status::raw(dora_code::SIGNATURE, said);
                    let addressee = match guid {
                        Some(guid) => Addressee::Guid(guid),
                        None if self.link.endpoint.is_serial() => Addressee::Only,
                        None => Addressee::Unknown,
                    };
                    self.arrivals.answers.push((addressee, Err(self.link.status(status))));
                }
                Err(error) => return Err(self.refused(error)),
            }
        }
        Ok(())
    }

    /// What bytes mean that are no frame, and end the connection.
    fn refused(&mut self, error: FrameError) -> Status {
        let said = match self.arrivals.acquaintance {
            Acquaintance::Stranger => {
                diagnose::stranger(self.inbox.peek()).or_else(|| diagnose::framing(&error))
            }
            _ => None,
        };
        match (said, &error) {
            (Some(said), _) => self.mismatch(&said),
            (None, FrameError::TooLong { len, max }) => {
                let said = diagnose::answer_too_long(*len, *max);
                // Its caller is told by itself: another attempt would not do better.
                let begun = Begun::of(self.inbox.peek(), self.link.layout.signed);
                if let Some(Begun { guid: Some(guid), .. }) = begun {
                    let status = self.link.status(Status::resource_exhausted(said.clone()));
                    self.arrivals.answers.push((Addressee::Guid(guid), Err(status)));
                }
                self.lost(&said).with_source(error)
            }
            (None, _) => self.lost(&error.to_string()).with_source(error),
        }
    }

    /// A frame has begun, or nothing has come.
    ///
    /// # Errors
    /// It is known already that it will be no Dora server's.
    fn expect_dora(&self) -> Result<(), Status> {
        let stranger = self.arrivals.acquaintance == Acquaintance::Stranger;
        let generation = self.link.layout.generation;
        let said = stranger.then(|| diagnose::stranger_so_far(self.inbox.peek(), generation)).flatten();
        said.map_or(Ok(()), |said| Err(self.mismatch(&said)))
    }

    /// Whether an answer that is not signed well may be one to a call of this
    /// connection, and not that of a server with other settings.
    fn may_be_ours(&self, error: &FrameError, guid: Option<Guid>) -> bool {
        match guid {
            _ if self.arrivals.acquaintance != Acquaintance::Stranger => true,
            _ if is_unsigned(error) => false,
            Some(guid) => self.is_awaited(&guid),
            None => self.link.endpoint.is_serial(),
        }
    }

    fn is_awaited(&self, guid: &Guid) -> bool {
        self.link.core().lane(self.id).is_some_and(|lane| lane.table.is_awaited(guid))
    }

    fn collect_frame(&mut self, frame: Frame) -> Result<(), Status> {
        if let Some(notice) = frame.guid.as_ref().and_then(Notice::of) {
            self.heed(notice);
            return Ok(());
        }
        let addressee = frame.guid.map_or_else(|| self.addressee(&frame.body), Addressee::Guid);
        if self.arrivals.acquaintance != Acquaintance::Known {
            self.get_acquainted(&frame, &addressee)?;
        }
        self.arrivals.answers.push((addressee, Ok(frame.body)));
        Ok(())
    }

    /// Whom an answer without a guid in its header is for: the body may have one.
    /// Without any it can only be told where one call is made at a time, and not
    /// if it is the later result of another one.
    fn addressee(&self, body: &Bytes) -> Addressee {
        match read(body.clone(), Shape::Value, &self.link.endpoint.limits) {
            Ok(ResponsePacket { guid: Some(guid), .. }) => Addressee::Guid(guid),
            Ok(ResponsePacket { is_result: true, .. }) => Addressee::Unknown,
            _ if self.link.endpoint.is_serial() => Addressee::Only,
            _ => Addressee::Unknown,
        }
    }

    /// Looks at the first answers of a connection: whether the two ends are set
    /// alike, and what the server can.
    fn get_acquainted(&mut self, frame: &Frame, addressee: &Addressee) -> Result<(), Status> {
        let ours = match addressee {
            Addressee::Guid(guid) => self.is_awaited(guid) || self.is_keeper(guid),
            Addressee::Only => !diagnose::echoes_guid(&frame.body),
            Addressee::Unknown => false,
        };
        if !ours {
            let said = match self.arrivals.acquaintance {
                Acquaintance::Stranger => diagnose::frame(frame, self.link.layout.generation),
                _ => None,
            };
            return said.map_or(Ok(()), |said| Err(self.mismatch(said)));
        }
        self.arrivals.acquaintance = Acquaintance::Answered;
        self.link.prove();
        let packet = read(frame.body.clone(), Shape::Value, &self.link.endpoint.limits);
        let can = match packet {
            Ok(packet) if packet.can.is_some() => packet.can,
            // A refusal may have been written before the request was understood.
            Ok(packet) if matches!(packet.code, dora_code::OK | dora_code::ACCEPTED) => {
                Some(Capabilities::NONE)
            }
            _ => None,
        };
        if can.is_some() {
            self.arrivals.acquaintance = Acquaintance::Known;
            let mut core = self.link.core();
            core.lane(self.id).into_iter().for_each(|lane| lane.can = can);
            self.link.note_speech(&core);
        }
        Ok(())
    }

    fn is_keeper(&self, guid: &Guid) -> bool {
        self.link.core().lane(self.id).is_some_and(|lane| lane.keeper == Some(*guid))
    }

    /// Gives the answers to their callers, under one lock.
    fn hand_over(&mut self) {
        if self.arrivals.answers.is_empty() {
            return;
        }
        let mut core = self.link.core();
        let spoiled = core.current.id == self.id && matches!(core.state, LinkState::Spoiled);
        let mut dropped = (0, 0);
        if let Some(lane) = core.lane(self.id) {
            lane.burst = self.arrivals.answers.len() > 1;
            lane.owed = None;
            let before = (lane.table.late, lane.table.unknown);
            for (addressee, answer) in self.arrivals.answers.drain(..) {
                self.arrivals.wakers.extend(match addressee {
                    // It may be the given-up call's, not the next one's.
                    _ if spoiled => lane.dropped_late(),
                    Addressee::Guid(guid) if lane.keeper == Some(guid) => None,
                    Addressee::Guid(guid) => lane.table.deliver(&guid, answer),
                    Addressee::Only => lane.table.deliver_only(answer),
                    Addressee::Unknown => lane.dropped_unknown(),
                });
            }
            dropped = (lane.table.late - before.0, lane.table.unknown - before.1);
        }
        drop(core);
        self.arrivals.answers.clear();
        self.arrivals.wakers.drain(..).for_each(Waker::wake);
        if dropped != (0, 0) {
            self.link.observed.dropped(dropped.0 as usize, dropped.1 as usize);
        }
    }
}
