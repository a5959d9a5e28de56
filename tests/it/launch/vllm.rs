//! A real vLLM as a process. Runs where `PERFGATE_TEST_VLLM` names the program and `PERFGATE_TEST_MODEL` a model folder.

use std::path::Path;
use std::time::Duration;

use perfgate::config::{ProcessPlan, ServerPlan};
use perfgate::launch::Launch;
use perfgate::metric::Metric;
use perfgate::telemetry::{Looking, Sampler};

use super::process::alive_with;
use super::{launch, start_quietly};

#[tokio::test]
async fn a_real_vllm_starts_is_observed_and_is_gone_with_its_engine_core() {
    let (Some(program), Some(model)) = (
        std::env::var_os("PERFGATE_TEST_VLLM"),
        std::env::var_os("PERFGATE_TEST_MODEL"),
    ) else {
        eprintln!("skipped: PERFGATE_TEST_VLLM and PERFGATE_TEST_MODEL are not set");
        return;
    };
    let model = model.into_string().unwrap();
    let mut command = vec![program.into_string().unwrap()];
    command.extend(
        [
            "serve",
            "{model}",
            "--host",
            "127.0.0.1",
            "--port",
            "{port}",
            "{args}",
        ]
        .map(str::to_owned),
    );
    let plan = ServerPlan::Process(ProcessPlan {
        command,
        env: [
            ("HF_HUB_OFFLINE", "1"),
            ("VLLM_NO_USAGE_STATS", "1"),
            ("VLLM_CPU_KVCACHE_SPACE", "1"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into(),
        directory: None,
        ready_timeout: Duration::from_mins(3),
    });
    let engine_args = [
        "--max-model-len",
        "2048",
        "--max-num-seqs",
        "32",
        "--enforce-eager",
    ]
    .map(str::to_owned);
    let target = start_quietly(&Launch {
        model: &model,
        engine_args: &engine_args,
        ..launch(&plan, "vllm")
    })
    .await
    .unwrap();
    let looking = Looking {
        server: target.process_ids().await,
        ..Looking::default()
    };
    let sampler = Sampler::start(target.base_url(), looking).await;
    let observed = sampler.finish().await;
    eprintln!(
        "vLLM {} was ready after {:.1} s",
        target.identity().version.as_deref().unwrap(),
        target.startup().unwrap().as_secs_f64()
    );
    let tokens = observed.findings.metrics[&Metric::parse("kv_cache.tokens").unwrap()];
    assert!(tokens > 2048.0, "{tokens}");
    assert!(Path::new(&model).is_dir());
    assert!(alive_with("VLLM::EngineCore"));
    let began = std::time::Instant::now();
    target.stop().await.unwrap();
    eprintln!("gone after {:.1} s", began.elapsed().as_secs_f64());
    assert!(!alive_with("VLLM::EngineCore"));
}
