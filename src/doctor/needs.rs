//! Requirements of a plan for this machine.

use crate::config::{GpuRequest, Plan, ServerPlan, option_value};

/// Default share of the device that vLLM 0.32 takes; older versions take 0.9.
const DEFAULT_UTILIZATION: f64 = 0.92;

/// The option that sets it.
const OPTION: &str = "--gpu-memory-utilization";

/// Requirements of a plan; empty without a plan.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Needs {
    /// Whether a container is started.
    pub(crate) container: bool,
    /// Whether it needs GPUs, also if only `hardware` names them.
    pub(crate) gpu: bool,
    /// Their number, if given.
    pub(crate) gpus: Option<u32>,
    /// The share of the device's memory that the engine takes, and whether the plan sets it.
    pub(crate) utilization: Option<(f64, bool)>,
}

impl Needs {
    pub(crate) fn of(plan: &Plan) -> Self {
        let expected = plan.expectations.num_gpus;
        let (container, asked, args) = match &plan.server {
            Some(ServerPlan::Docker(docker)) => (true, Some(&docker.gpus), docker.args.as_slice()),
            Some(ServerPlan::Process(process)) => (false, None, process.command.as_slice()),
            // Their GPUs are on another machine, or simulated.
            Some(ServerPlan::Url(_) | ServerPlan::Simulator(_)) | None => return Self::default(),
        };
        let by_request = match asked {
            Some(GpuRequest::Count(count)) => Some(*count),
            Some(GpuRequest::Devices(ids)) => u32::try_from(ids.len()).ok(),
            Some(GpuRequest::All | GpuRequest::None) | None => None,
        };
        let is_asked = asked.is_some_and(|request| *request != GpuRequest::None);
        let gpu = is_asked || plan.expectations.gpu.is_some() || expected.is_some();
        let of = |args| option_value(args, OPTION)?.parse().ok();
        let given = of(args).or_else(|| of(&plan.engine_args));
        Self {
            container,
            gpu,
            gpus: by_request.or(expected),
            utilization: gpu.then(|| (given.unwrap_or(DEFAULT_UTILIZATION), given.is_some())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needs(yaml: &str) -> Needs {
        Needs::of(&crate::config::read_plan("p", yaml).unwrap())
    }

    #[test]
    fn a_plan_has_its_requirements() {
        let on_gpu = needs(
            "model: m\nserver: {docker: {image: i, gpus: 2, args: [\"--gpu-memory-utilization=0.95\"]}}",
        );
        assert_eq!(on_gpu.gpus, Some(2));
        assert!(on_gpu.container && on_gpu.gpu);
        assert_eq!(on_gpu.utilization, Some((0.95, true)));
        let by_config = needs(
            "model: m\nserver: {docker: {image: i, gpus: all}}\nframework: {config: {gpu_memory_utilization: 0.8}}",
        );
        assert_eq!(by_config.utilization, Some((0.8, true)));
        let on_cpu = needs("model: m\nserver: {docker: {image: i}}");
        assert!(on_cpu.container && !on_cpu.gpu);
        assert_eq!(on_cpu.utilization, None);
        assert_eq!(needs("model: m\nserver: {simulator: {}}"), Needs::default());
    }
}
