//! Synthetic requests.

use std::time::Duration;

use super::{
    Follows, GENERATOR, Lengths, Message, Part, Phase, Prompt, PromptForm, REVISION, Request, Role,
    generator,
};

/// All settings that decide the requests, except the load points.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// Token ids or words.
    pub form: PromptForm,
    /// Measured requests per repeat of one scenario.
    pub num_requests: usize,
    /// Requests before each measurement.
    pub warmup_requests: usize,
    /// Prompt lengths in tokens.
    pub input_tokens: Lengths,
    /// Output lengths in tokens.
    pub output_tokens: Lengths,
    /// What prompts have in common.
    pub prefix: Prefix,
    /// Several turns instead of one.
    pub conversation: Option<Conversation>,
    /// Whether the API is chat: the history of a conversation is then a list of messages, else a text before the question.
    pub is_chat: bool,
    /// The seed.
    pub seed: u64,
}

/// What synthetic prompts have in common.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prefix {
    /// Share of every prompt that is the same in all prompts of its group, 0 to 1.
    pub share: f64,
    /// Number of groups, at least 1; each has its own prefix. Requests 0, 1, 2 … are in groups 0, 1, 2 …, cyclically.
    pub groups: usize,
}

impl Default for Prefix {
    fn default() -> Self {
        Self {
            share: 0.0,
            groups: 1,
        }
    }
}

/// Conversations of that many turns each, one after the other in the workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conversation {
    /// Turns, at least 1. Each is a request.
    pub turns: usize,
    /// Think time between an answer and the next turn.
    pub pause: Duration,
}

impl Shape {
    /// All settings that decide what is drawn, as text for the digest. Settings that were added later appear only where used,
    /// so that stored baselines still match.
    pub(super) fn described(&self) -> String {
        let mut text = format!(
            "perfgate workload {REVISION}\ngenerator {GENERATOR}\nform {:?}\nrequests {}\nwarm-up {}\ninput {}\noutput \
             {}\nprefix {}\nseed {}\n",
            self.form,
            self.num_requests,
            self.warmup_requests,
            self.input_tokens,
            self.output_tokens,
            self.prefix.share,
            self.seed,
        );
        if self.prefix.groups > 1 {
            text.push_str(&format!("prefix groups {}\n", self.prefix.groups));
        }
        if let Some(Conversation { turns, pause }) = self.conversation {
            text.push_str(&format!("turns {turns}\npause {} ns\n", pause.as_nanos()));
        }
        text
    }

    /// The requests of that part of a run.
    pub fn requests(&self, part: Part<'_>) -> Vec<Request> {
        let Part {
            phase,
            scenario,
            repeat,
            nonce,
        } = part;
        let count = match phase {
            Phase::WarmUp(_) => self.warmup_requests,
            Phase::Measured => self.num_requests,
        };
        let mut lengths = generator(self.seed, &["lengths", phase.kind()]);
        let (purpose, repeat) = (phase.purpose(), repeat.to_string());
        let mut words = vec!["contents", &purpose, scenario, &repeat];
        words.extend(nonce);
        let mut contents = generator(self.seed, &words);
        let lengths: Vec<(u32, u32)> = (0..count)
            .map(|_| {
                let input = self.input_tokens.draw(&mut lengths);
                (input, self.output_tokens.draw(&mut lengths))
            })
            .collect();
        let turns = self.conversation.map_or(1, |shape| shape.turns.max(1));
        let prefixes = self.prefixes(&lengths, turns, nonce);
        let pause = self
            .conversation
            .map_or(Duration::ZERO, |shape| shape.pause);
        let messages = self.is_chat && self.conversation.is_some();
        let mut history = History::new(messages);
        lengths
            .into_iter()
            .enumerate()
            .map(|(index, (input, output_tokens))| {
                let turn = index % turns;
                if turn == 0 {
                    history = History::new(messages);
                }
                let asked = if turn == 0 {
                    let shared = prefix_length(input, self.prefix.share);
                    prefixes[index / turns % prefixes.len()]
                        .cut(shared)
                        .extended(Prompt::draw(self.form, input - shared, &mut contents))
                } else {
                    Prompt::draw(self.form, input, &mut contents)
                };
                let prompt = history.asked(asked);
                if turn + 1 < turns {
                    history.answered(Prompt::draw(self.form, output_tokens, &mut contents));
                }
                Request {
                    index,
                    prompt,
                    output_tokens,
                    due: None,
                    follows: (turn > 0).then(|| Follows {
                        index: index - 1,
                        pause,
                    }),
                }
            })
            .collect()
    }

    /// The prefixes of all groups, each as long as its longest first question needs: if lengths have a long tail, the longest
    /// possible one would not fit into memory.
    fn prefixes(&self, lengths: &[(u32, u32)], turns: usize, nonce: Option<&str>) -> Vec<Prompt> {
        let mut longest = vec![0; self.prefix.groups.clamp(1, lengths.len().max(1))];
        let groups = longest.len();
        for (conversation, (input, _)) in lengths.iter().step_by(turns).enumerate() {
            let longest = &mut longest[conversation % groups];
            *longest = prefix_length(*input, self.prefix.share).max(*longest);
        }
        let prefixes = longest.into_iter().enumerate();
        prefixes
            .map(|(group, length)| self.prefix(group, length, nonce))
            .collect()
    }

    /// The prefix of a group; that of the first group does not depend on the number of groups, and a shorter one is the start of
    /// a longer one.
    fn prefix(&self, group: usize, length: u32, nonce: Option<&str>) -> Prompt {
        let number = group.to_string();
        let mut words = vec!["prefix"];
        words.extend((group > 0).then_some(number.as_str()));
        // Differs from every group number: a nonce contains a dash.
        words.extend(nonce);
        Prompt::draw(self.form, length, &mut generator(self.seed, &words))
    }
}

/// The conversation so far. Answers are drawn, never the server's own, so that both sides do the same work.
#[derive(Debug)]
enum History {
    /// Of a chat.
    Messages(Vec<Message>),
    /// Of a completion, which has no roles.
    Row(Option<Prompt>),
}

impl History {
    fn new(messages: bool) -> Self {
        if messages {
            Self::Messages(Vec::new())
        } else {
            Self::Row(None)
        }
    }

    /// The prompt that asks this question after the conversation so far.
    fn asked(&mut self, question: Prompt) -> Prompt {
        match self {
            Self::Messages(messages) => {
                messages.push(Message::new(Role::User, question.text()));
                Prompt::Messages(messages.clone())
            }
            Self::Row(row) => {
                let said = match row.take() {
                    Some(said) => said.extended(question),
                    None => question,
                };
                *row = Some(said.clone());
                said
            }
        }
    }

    fn answered(&mut self, answer: Prompt) {
        match self {
            Self::Messages(messages) => {
                messages.push(Message::new(Role::Assistant, answer.text()));
            }
            Self::Row(row) => *row = row.take().map(|said| said.extended(answer)),
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of a u32 is a u32"
)]
fn prefix_length(input: u32, share: f64) -> u32 {
    (f64::from(input) * share.clamp(0.0, 1.0)) as u32
}

#[cfg(test)]
mod tests {
    use super::super::Source;
    use super::*;

    fn shape() -> Shape {
        Shape {
            form: PromptForm::TokenIds,
            num_requests: 50,
            warmup_requests: 5,
            input_tokens: Lengths::Normal {
                mean: 100.0,
                std: 20.0,
            },
            output_tokens: Lengths::Uniform { min: 10, max: 30 },
            prefix: Prefix::default(),
            conversation: None,
            is_chat: false,
            seed: 42,
        }
    }

    fn words(prompt: &Prompt) -> usize {
        prompt.text().split_whitespace().count()
    }

    #[test]
    fn the_same_seed_gives_the_same_requests() {
        assert_eq!(
            shape().requests(Part::of(Phase::Measured, "concurrency=4", 0)),
            shape().requests(Part::of(Phase::Measured, "concurrency=4", 0))
        );
        assert_ne!(
            shape().requests(Part::of(Phase::Measured, "concurrency=4", 0)),
            Shape {
                seed: 43,
                ..shape()
            }
            .requests(Part::of(Phase::Measured, "concurrency=4", 0))
        );
    }

    #[test]
    fn repeats_and_scenarios_share_lengths_and_differ_in_content() {
        let first = shape().requests(Part::of(Phase::Measured, "concurrency=4", 0));
        for other in [
            shape().requests(Part::of(Phase::Measured, "concurrency=4", 1)),
            shape().requests(Part::of(Phase::Measured, "concurrency=8", 0)),
        ] {
            for (a, b) in first.iter().zip(&other) {
                assert_eq!(words(&a.prompt), words(&b.prompt));
                assert_eq!(a.output_tokens, b.output_tokens);
                assert_ne!(a.prompt, b.prompt);
            }
        }
    }

    #[test]
    fn warm_ups_of_a_repeat_share_lengths_and_differ_in_content() {
        let source = Source::Synthetic(shape());
        let first = source.requests(Part::of(Phase::WarmUp(0), "concurrency=4", 0));
        for (a, b) in
            first
                .iter()
                .zip(&source.requests(Part::of(Phase::WarmUp(1), "concurrency=4", 0)))
        {
            assert_eq!(words(&a.prompt), words(&b.prompt));
            assert_eq!(a.output_tokens, b.output_tokens);
            assert_ne!(a.prompt, b.prompt);
        }
    }

    #[test]
    fn a_shared_prefix_is_the_same_in_all_requests() {
        let shape = Shape {
            prefix: Prefix {
                share: 0.5,
                groups: 1,
            },
            input_tokens: Lengths::Constant(40),
            ..shape()
        };
        let warm = &shape.requests(Part::of(Phase::WarmUp(0), "concurrency=1", 0))[0].prompt;
        for request in shape.requests(Part::of(Phase::Measured, "concurrency=1", 0)) {
            assert_eq!(words(&request.prompt), 40);
            assert_eq!(request.prompt.cut(20), warm.cut(20));
            assert_ne!(request.prompt.cut(21), warm.cut(21));
        }
    }

    /// As if every prefix were drawn longer than any prompt and then cut, as the first version did.
    #[test]
    fn a_prefix_is_drawn_no_longer_than_needed_and_equals_the_start_of_a_longer_one() {
        for form in [PromptForm::TokenIds, PromptForm::Words] {
            let shape = Shape {
                form,
                // Ten standard deviations of this are 72 million tokens.
                input_tokens: Lengths::Lognormal {
                    mean: 500.0,
                    std: 1000.0,
                },
                prefix: Prefix {
                    share: 0.5,
                    groups: 3,
                },
                ..shape()
            };
            let long: Vec<Prompt> = (0..3)
                .map(|group| shape.prefix(group, 100_000, None))
                .collect();
            let mut lengths = generator(42, &["lengths", "measured"]);
            let mut contents = generator(42, &["contents", "measured", "concurrency=1", "0"]);
            for request in shape.requests(Part::of(Phase::Measured, "concurrency=1", 0)) {
                let input = shape.input_tokens.draw(&mut lengths);
                let shared = prefix_length(input, 0.5);
                let head = long[request.index % 3].cut(shared);
                let rest = Prompt::draw(form, input - shared, &mut contents);
                assert_eq!(request.prompt, head.extended(rest));
                assert_eq!(
                    request.output_tokens,
                    shape.output_tokens.draw(&mut lengths)
                );
            }
        }
    }

    #[test]
    fn prefix_groups_take_turns_and_the_first_is_that_of_one_group() {
        let grouped = |groups| {
            let shape = Shape {
                prefix: Prefix { share: 0.5, groups },
                input_tokens: Lengths::Constant(40),
                ..shape()
            };
            let requests = shape.requests(Part::of(Phase::Measured, "concurrency=1", 0));
            let heads = requests.iter().map(|request| request.prompt.cut(20));
            heads.collect::<Vec<Prompt>>()
        };
        let (one, three) = (grouped(1), grouped(3));
        assert_eq!(three[0], one[0]);
        assert_eq!(three[0], three[3]);
        assert_eq!(three[2], three[5]);
        assert!(three[0] != three[1] && three[1] != three[2] && three[0] != three[2]);
    }

    #[test]
    fn a_turn_includes_the_earlier_ones_and_follows_them() {
        let pause = Duration::from_secs(2);
        for messages in [false, true] {
            let shape = Shape {
                form: if messages {
                    PromptForm::Words
                } else {
                    PromptForm::TokenIds
                },
                num_requests: 7,
                input_tokens: Lengths::Constant(10),
                output_tokens: Lengths::Constant(4),
                conversation: Some(Conversation { turns: 3, pause }),
                is_chat: messages,
                ..shape()
            };
            let requests = shape.requests(Part::of(Phase::Measured, "concurrency=1", 0));
            let lengths: Vec<usize> = requests
                .iter()
                .map(|request| words(&request.prompt))
                .collect();
            assert_eq!(lengths, [10, 24, 38, 10, 24, 38, 10]);
            let follows: Vec<Option<usize>> = requests
                .iter()
                .map(|request| request.follows.map(|follows| follows.index))
                .collect();
            assert_eq!(
                follows,
                [None, Some(0), Some(1), None, Some(3), Some(4), None]
            );
            match (&requests[0].prompt, &requests[1].prompt) {
                (Prompt::Messages(first), Prompt::Messages(second)) => {
                    assert_eq!(first[0], second[0]);
                    let roles: Vec<Role> = second.iter().map(|message| message.role).collect();
                    assert_eq!(roles, [Role::User, Role::Assistant, Role::User]);
                }
                (first, second) => assert_eq!(&second.cut(10), first),
            }
        }
    }

    fn digest(shape: Shape, model: &str) -> String {
        Source::Synthetic(shape).digest(&[("model", model.to_owned())])
    }

    /// A digest as stored baselines have it: they still match when settings are added.
    #[test]
    fn the_digest_of_a_stored_baseline_stays() {
        let shape = Shape {
            num_requests: 200,
            warmup_requests: 32,
            input_tokens: Lengths::Constant(200),
            output_tokens: Lengths::Constant(48),
            ..shape()
        };
        let sent_with = [
            ("path", "/v1/completions"),
            ("model", "demo-8b"),
            ("temperature", "0"),
            ("top_p", ""),
            ("ignore_eos", "true"),
        ]
        .map(|(name, value)| (name, value.to_owned()));
        assert_eq!(
            Source::Synthetic(shape).digest(&sent_with),
            "sha256:ae2abb526055e3597f26cd18775800bdb2ff821ff33a46b87d1da1bb2c79bf18"
        );
    }

    #[test]
    fn the_digest_changes_with_everything_that_decides_what_is_sent() {
        let same = digest(shape(), "m");
        assert_eq!(same, digest(shape(), "m"));
        assert_ne!(same, digest(shape(), "n"));
        let changes: [fn(&mut Shape); 8] = [
            |shape| shape.seed = 1,
            |shape| shape.num_requests = 51,
            |shape| shape.warmup_requests = 6,
            |shape| shape.prefix.share = 0.1,
            |shape| shape.prefix.groups = 2,
            |shape| shape.form = PromptForm::Words,
            |shape| shape.output_tokens = Lengths::Constant(3),
            |shape| {
                shape.conversation = Some(Conversation {
                    turns: 2,
                    pause: Duration::ZERO,
                });
            },
        ];
        for change in changes {
            let mut other = shape();
            change(&mut other);
            assert_ne!(same, digest(other, "m"));
        }
    }
}
