//! Requests as bytes, a few rendered in advance so that writing JSON is not part of a latency.

use std::collections::VecDeque;
use std::fmt;

use super::LoadError;
use super::answer::Expected;
use super::body::RequestTemplate;
use super::client::Client;
use super::schedule::Schedule;
use crate::workload::Request;

/// The requests of a measurement.
pub(super) struct Prepared {
    requests: Vec<Request>,
    template: RequestTemplate,
    /// The head up to the body's length. Contains the API key.
    head: Vec<u8>,
    /// The next requests of the schedule, in its order.
    ahead: VecDeque<(usize, Vec<u8>)>,
}

impl Prepared {
    pub(super) fn new(requests: Vec<Request>, template: RequestTemplate, client: &Client) -> Self {
        Self {
            requests,
            template,
            head: client.head(),
            ahead: VecDeque::new(),
        }
    }

    /// Output tokens of all requests together.
    pub(super) fn output_tokens(&self) -> u64 {
        let asked = self.requests.iter();
        asked.map(|request| u64::from(request.output_tokens)).sum()
    }

    /// Conditions for the answer of a request.
    pub(super) fn expected(&self, index: usize) -> Expected {
        Expected {
            output_tokens: self.requests[index].output_tokens,
            exact: self.template.sampling.ignore_eos,
        }
    }

    /// The bytes of a request that is sent now.
    pub(super) fn take(&mut self, index: usize) -> Result<Vec<u8>, LoadError> {
        match self.ahead.pop_front_if(|(ahead, _)| *ahead == index) {
            Some((_, bytes)) => Ok(bytes),
            None => self.render(index),
        }
    }

    /// Whether as many as wanted, or all, are rendered.
    pub(super) fn is_ahead(&self, schedule: &Schedule, wanted: usize) -> bool {
        self.ahead.len() >= wanted || schedule.upcoming().nth(self.ahead.len()).is_none()
    }

    /// Renders one more.
    pub(super) fn render_one(&mut self, schedule: &Schedule) -> Result<(), LoadError> {
        if let Some(index) = schedule.upcoming().nth(self.ahead.len()) {
            let bytes = self.render(index)?;
            self.ahead.push_back((index, bytes));
        }
        Ok(())
    }

    /// Renders as many as wanted.
    pub(super) fn render_ahead(
        &mut self,
        schedule: &Schedule,
        wanted: usize,
    ) -> Result<(), LoadError> {
        while !self.is_ahead(schedule, wanted) {
            self.render_one(schedule)?;
        }
        Ok(())
    }

    /// The bytes of a request.
    pub(super) fn render(&self, index: usize) -> Result<Vec<u8>, LoadError> {
        let body = self
            .template
            .body(&self.requests[index])
            .map_err(LoadError::Body)?;
        let mut bytes = Vec::with_capacity(self.head.len() + body.len() + 24);
        bytes.extend_from_slice(&self.head);
        bytes.extend_from_slice(format!("{}\r\n\r\n", body.len()).as_bytes());
        bytes.extend_from_slice(&body);
        Ok(bytes)
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared")
            .field("requests", &self.requests.len())
            .field("ahead", &self.ahead.len())
            .finish_non_exhaustive()
    }
}
