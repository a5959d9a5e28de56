//! The GPUs visible to a server: from its container's request and the variables of CUDA and `ROCm`.

use crate::config::{GpuRequest, ServerPlan};
use crate::environment::Environment;

/// The GPUs visible to CUDA.
const CUDA: &str = "CUDA_VISIBLE_DEVICES";

/// The GPUs visible to HIP, counted among those of [`ROCR`]; HIP also reads [`CUDA`].
const HIP: &str = "HIP_VISIBLE_DEVICES";

/// The GPUs visible to `ROCm`'s runtime.
const ROCR: &str = "ROCR_VISIBLE_DEVICES";

/// A name of no GPU, for hidden GPUs.
const NO_GPU: &str = "-1";

/// The visible GPUs by vendor, as indices or UUIDs; `None` without a limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) nvidia: Option<Vec<String>>,
    pub(crate) amd: Option<Vec<String>>,
}

impl Shown {
    /// The GPUs that plan and environment make visible to the server.
    pub(crate) fn of(server: &ServerPlan, environment: &Environment) -> Self {
        let of = |name| Some(listed(&variable(server, environment, name)?));
        let handed_in = match server {
            ServerPlan::Docker(docker) => handed_in(&docker.gpus),
            ServerPlan::Process(_) | ServerPlan::Simulator(_) | ServerPlan::Url(_) => None,
        };
        Self {
            nvidia: within(handed_in.clone(), of(CUDA)),
            amd: within(within(handed_in, of(ROCR)), of(HIP).or_else(|| of(CUDA))),
        }
    }

    /// The AMD GPUs to sample; empty for all.
    pub(crate) fn amd_devices(self) -> Vec<String> {
        match self.amd {
            Some(none) if none.is_empty() => vec![NO_GPU.to_owned()],
            shown => shown.unwrap_or_default(),
        }
    }
}

/// The value of a variable for the server.
fn variable(server: &ServerPlan, environment: &Environment, name: &str) -> Option<String> {
    match server {
        ServerPlan::Process(process) => {
            let given = process.env.get(name).cloned();
            given.or_else(|| environment(name))
        }
        // A container gets only the listed variables.
        ServerPlan::Docker(docker) if docker.env.iter().any(|passed| passed == name) => {
            environment(name)
        }
        ServerPlan::Docker(_) | ServerPlan::Url(_) => None,
        ServerPlan::Simulator(_) => environment(name),
    }
}

/// The GPUs of a container's request; for a number the engine passes the first ones.
fn handed_in(gpus: &GpuRequest) -> Option<Vec<String>> {
    match gpus {
        GpuRequest::All | GpuRequest::None => None,
        GpuRequest::Count(count) => Some((0..*count).map(|index| index.to_string()).collect()),
        GpuRequest::Devices(devices) => {
            // `nvidia.com/gpu=0` is a name of the Container Device Interface.
            let plain = |name: &String| name.rsplit('=').next().unwrap_or_default().to_owned();
            let plain: Vec<String> = devices.iter().map(plain).collect();
            (!plain.iter().any(|name| name == "all")).then_some(plain)
        }
    }
}

/// The inner list as a selection of the outer one; its numbers are indices of the outer list.
fn within(outer: Option<Vec<String>>, inner: Option<Vec<String>>) -> Option<Vec<String>> {
    let (Some(outer), Some(inner)) = (&outer, &inner) else {
        return inner.or(outer);
    };
    let chosen = inner.iter().map_while(|id| match id.parse::<usize>() {
        Ok(index) => outer.get(index).cloned(),
        Err(_uuid) => Some(id.clone()),
    });
    Some(chosen.collect())
}

/// The GPUs of `0,2` or of UUIDs, up to the first invalid word, as in CUDA (`-1` and an empty value hide all).
fn listed(visible: &str) -> Vec<String> {
    let is_device =
        |id: &&str| id.parse::<u32>().is_ok() || id.starts_with("GPU-") || id.starts_with("MIG-");
    let ids = visible.split(',').map(str::trim).take_while(is_device);
    ids.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(server: &str, variables: &[(&str, &str)]) -> Shown {
        let text = format!("model: m\nserver: {server}\n");
        let plan = crate::config::read_plan("p", &text).unwrap();
        let variables: Vec<(String, String)> = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let environment = move |asked: &str| {
            let found = variables.iter().find(|(name, _)| name == asked);
            found.map(|(_, value)| value.clone())
        };
        Shown::of(plan.server.as_ref().unwrap(), &environment)
    }

    const PROCESS: &str = "{process: {command: [serve, \"{port}\"]}}";

    #[test]
    fn a_list_ends_where_cuda_ends_it() {
        assert_eq!(listed("0, 2"), ["0", "2"]);
        assert_eq!(listed("GPU-8932f937"), ["GPU-8932f937"]);
        assert_eq!(listed("1,-1,2"), ["1"]);
        assert_eq!(listed("-1"), [""; 0]);
        assert_eq!(listed(""), [""; 0]);
    }

    #[test]
    fn amd_gpus_have_their_own_variables_from_the_plan_and_the_environment() {
        let one = Some(vec!["1".to_owned()]);
        for name in [HIP, ROCR] {
            let given =
                format!("{{process: {{command: [serve, \"{{port}}\"], env: {{{name}: \"1\"}}}}}}");
            assert_eq!(shown(&given, &[(name, "7")]).amd, one, "{name}");
            assert_eq!(shown(PROCESS, &[(name, "1")]).amd, one, "{name}");
            assert_eq!(shown(PROCESS, &[(name, "1")]).nvidia, None, "{name}");
        }
        let both = [(ROCR, "4,5,6"), (HIP, "2,0")];
        assert_eq!(shown(PROCESS, &both).amd_devices(), ["6", "4"]);
        assert_eq!(shown(PROCESS, &[(HIP, "")]).amd_devices(), ["-1"]);
        assert_eq!(shown(PROCESS, &[]).amd_devices(), [""; 0]);
    }

    #[test]
    fn in_a_container_numbers_are_indices_of_the_passed_gpus() {
        let handed = |gpus: &str, env: &str, variables: &[(&str, &str)]| {
            let server = format!("{{docker: {{image: x, gpus: {gpus}, env: [{env}]}}}}");
            shown(&server, variables).nvidia
        };
        let variables = [(CUDA, "1")];
        assert_eq!(handed("all", "", &variables), None);
        assert_eq!(handed("all", CUDA, &variables), Some(vec!["1".to_owned()]));
        let devices = "[\"2\", \"3\"]";
        assert_eq!(
            handed(devices, CUDA, &variables),
            Some(vec!["3".to_owned()])
        );
    }
}
