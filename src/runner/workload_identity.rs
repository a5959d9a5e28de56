//! The workload of a run, and its description in the result.

use crate::config::{
    DEFAULT_INPUT_TOKENS, DEFAULT_OUTPUT_TOKENS, Dataset, Endpoint, LoadPoint, Plan,
};
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::load::RequestTemplate;
use crate::record::format::{Load, Workload};
use crate::workload::{PromptForm, Shape, Source};

/// The source of a plan's requests.
pub(crate) fn source(plan: &Plan) -> Result<Source, Failure> {
    match &plan.dataset {
        Dataset::Synthetic => Ok(Source::Synthetic(shape(plan))),
        Dataset::Chosen(selection) => Ok(Source::Dataset(selection.clone())),
        // Every measuring command resolves its plan first.
        Dataset::File(file) => {
            let message = format!("the data set `{}` was never read", file.path.display());
            Err(Failure::message(ExitStatus::Bug, message))
        }
    }
}

fn shape(plan: &Plan) -> Shape {
    let form = match plan.endpoint {
        Endpoint::Completions => plan.prompts.unwrap_or(PromptForm::TokenIds),
        Endpoint::Chat => PromptForm::Words,
    };
    Shape {
        form,
        num_requests: plan.num_requests,
        warmup_requests: plan.warmup_requests,
        input_tokens: plan.input_tokens.unwrap_or(DEFAULT_INPUT_TOKENS),
        output_tokens: plan.output_tokens.unwrap_or(DEFAULT_OUTPUT_TOKENS),
        prefix: plan.prefix,
        conversation: plan.conversation,
        is_chat: plan.endpoint == Endpoint::Chat,
        seed: plan.seed,
    }
}

/// The workload in the form of the result file.
pub(crate) fn described_workload(
    plan: &Plan,
    source: &Source,
    template: &RequestTemplate,
) -> Workload {
    let (dataset, input_tokens, output_tokens) = match source {
        Source::Synthetic(shape) => (
            "synthetic".to_owned(),
            Some(shape.input_tokens.to_string()),
            shape.output_tokens.to_string(),
        ),
        Source::Dataset(selection) => (selection.name(), None, selection.output_lengths()),
    };
    let endpoint = match plan.endpoint {
        Endpoint::Completions => "completions",
        Endpoint::Chat => "chat",
    };
    let mut sent_with = template.described();
    // Only if used, so that stored baselines keep matching.
    if let Some(within) = plan.warmup_until_stable {
        sent_with.push(("warm-up until stable within", within.to_string()));
    }
    let headers = plan.headers.described();
    sent_with.extend(headers.map(|header| ("header", header)));
    Workload {
        digest: Some(source.digest(&sent_with)),
        dataset: Some(dataset),
        seed: Some(plan.seed),
        num_requests: Some(plan.num_requests as u64),
        endpoint: Some(endpoint.to_owned()),
        input_tokens,
        output_tokens: Some(output_tokens),
        warmup_requests: Some(plan.warmup_requests as u64),
        headers: (!plan.headers.is_empty()).then(|| plan.headers.names()),
        extra_body: (!plan.extra_body.is_empty()).then(|| plan.extra_body.clone()),
        search: None,
    }
}

/// A load point in the form of the result file.
pub(crate) fn described_load(load: LoadPoint, plan: &Plan) -> Load {
    let all = Load {
        ramp_up: (!plan.ramp_up.is_zero()).then_some(plan.ramp_up.as_secs_f64()),
        duration: plan.duration.map(|duration| duration.as_secs_f64()),
        ..Load::default()
    };
    match load {
        LoadPoint::Concurrency(concurrency) => Load {
            concurrency: Some(concurrency as u64),
            ..all
        },
        // JSON has no infinity: a missing rate means all requests at once.
        LoadPoint::Rate {
            per_second,
            burstiness,
        } => Load {
            request_rate: per_second.is_finite().then_some(per_second),
            burstiness: burstiness.is_finite().then_some(burstiness),
            ..all
        },
        LoadPoint::Trace { speedup } => Load {
            trace_speedup: Some(speedup),
            ..all
        },
    }
}
