//! GPUs through the driver's library: a stub of it, built from C, whose devices are what a file says.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::support::{Ran, command, json, write};

/// A folder with the stub, under the library's ordinary name, and a device of which nothing bad is to be said.
struct World {
    folder: tempfile::TempDir,
}

const GIBIBYTE: u64 = 1 << 30;

/// What is set and not said by a test is this.
const ORDINARY: [(&str, u64); 14] = [
    ("memory_total", 80 * GIBIBYTE),
    ("memory_used", GIBIBYTE / 4),
    ("utilization", 96),
    ("clock_sm", 1755),
    ("clock_memory", 2619),
    ("power", 612_000),
    ("power_limit", 700_000),
    ("temperature", 61),
    ("throttle", 0),
    ("ecc", 2),
    ("ecc_mode", 1),
    ("persistence", 1),
    ("pcie_gen", 5),
    ("pcie_width", 16),
];

impl World {
    fn new() -> Self {
        let world = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/gpus/nvml.c");
        build(&source, &world.library());
        world.set(&[]);
        world
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn library(&self) -> PathBuf {
        self.path().join("libnvidia-ml.so.1")
    }

    /// The device from now on: as usual but for this.
    fn set(&self, unusual: &[(&str, &str)]) {
        let mut text = "gpu\n".to_owned();
        for (key, value) in ORDINARY {
            if !unusual.iter().any(|(name, _)| *name == key) {
                let _ = writeln!(text, "{key} {value}");
            }
        }
        for (key, value) in unusual.iter().filter(|(_, value)| !value.is_empty()) {
            let _ = writeln!(text, "{key} {value}");
        }
        // At once: the stub reads it at every call.
        write(self.path(), "world", &text);
    }

    fn bench(&self, options: &[&str]) -> Command {
        self.bench_on("seed=1,gpus=0", options)
    }

    fn bench_on(&self, simulator: &str, options: &[&str]) -> Command {
        let mut arguments = vec![
            "bench",
            "--simulator",
            simulator,
            "--model",
            "demo",
            "--concurrency",
            "16",
            "--synthetic-input-tokens-mean",
            "64",
            "--output-tokens-mean",
            "16",
            "--warmup-requests",
            "16",
            "--output",
            "r.json",
        ];
        arguments.extend(options);
        let mut command = command(self.path(), &arguments);
        command
            .env("LD_LIBRARY_PATH", self.path())
            .env("NVML_STUB_STATE", self.path().join("world"))
            .env_remove("CUDA_VISIBLE_DEVICES");
        command
    }

    fn run(&self, options: &[&str]) -> Ran {
        Ran::of(&self.bench(options).output().unwrap())
    }

    /// Runs, and does something at each line of progress.
    fn run_and(&self, options: &[&str], mut then: impl FnMut(&str)) -> Ran {
        let mut command = self.bench(options);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = String::new();
        for line in BufReader::new(child.stderr.take().unwrap()).lines() {
            let line = line.unwrap();
            then(&line);
            lines.push_str(&line);
            lines.push('\n');
        }
        let mut stdout = String::new();
        child
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut stdout)
            .unwrap();
        Ran {
            code: child.wait().unwrap().code(),
            stdout,
            stderr: lines,
        }
    }

    /// Runs with something unusual in the middle of the first repeat's load and not after it.
    fn run_in_the_load(&self, unusual: &[(&str, &str)]) -> Ran {
        let mut done = false;
        self.run_and(&LONG, |line| {
            if line.contains(WARMED_UP) && !done {
                into_the_load();
                self.set(unusual);
                done = true;
            } else if line.contains(" is void: ") {
                self.set(&[]);
            }
        })
    }

    fn result(&self) -> Value {
        json(&self.path().join("r.json"))
    }

    fn repeats(&self) -> Vec<Value> {
        let result = self.result();
        result["scenarios"][0]["repeats"]
            .as_array()
            .unwrap()
            .clone()
    }
}

fn build(source: &Path, library: &Path) {
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(library)
        .arg(source)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{stderr}");
}

/// After the warm-up's last line the first look follows within milliseconds; this is later, and well inside the load.
fn into_the_load() {
    std::thread::sleep(Duration::from_millis(700));
}

/// What is said when the warm-up is over.
const WARMED_UP: &str = "warm-up: 16/16";

/// Two seconds and more of load on any machine.
const LONG: [&str; 4] = ["--repeat", "1", "--num-prompts", "600"];

#[test]
fn a_result_has_the_figures_of_the_library_and_the_number_of_samples() {
    let world = World::new();
    world.set(&[("throttle", "4"), ("clock_sm", "1755")]);
    let ran = world.run(&LONG).expect(0);
    let repeat = &world.repeats()[0];
    let gpu = &repeat["telemetry"]["gpus"][0];
    assert_eq!(gpu["source"], "NVML");
    assert_eq!(gpu["memory_peak_bytes"], 268_435_456.0);
    let is_near = |value: &Value| (value.as_f64().unwrap() - 0.96).abs() < 1e-9;
    assert!(is_near(&gpu["utilization_mean"]), "{gpu}");
    assert_eq!(gpu["clock_sm_mhz"]["median"], 1755.0);
    assert_eq!(gpu["clock_sm_mhz"]["p5"], 1755.0);
    assert_eq!(gpu["clock_steady"], true);
    assert_eq!(gpu["power_watts"]["mean"], 612.0);
    assert_eq!(gpu["temperature_celsius"]["start"], 61.0);
    assert_eq!(gpu["throttled"], serde_json::json!({"power_cap": 1.0}));
    assert_eq!(gpu["ecc_uncorrected_new"], 0);
    assert_eq!(gpu["pcie"]["generation"], 5);
    assert_eq!(repeat["metrics"]["gpu_memory.peak"], 268_435_456.0);
    assert!(is_near(&repeat["metrics"]["gpu_utilization.mean"]));
    assert_eq!(repeat["telemetry"]["gpu_power"][0], 612.0);
    // The power limit is usual under load: worth a word, and no more.
    assert_eq!(repeat["void"], Value::Null);
    let warnings = &repeat["telemetry"]["warnings"];
    assert_eq!(
        warnings[0],
        "GPU 0 ran at its power limit (700 W) in 100 % of the repeat"
    );
    assert!(
        ran.stderr.contains("warning: GPU 0 ran at its power limit"),
        "{}",
        ran.stderr
    );
    // Ten times a second, counted: a machine that is busy with other tests may miss a beat now and then.
    let looks = gpu["looks"].as_f64().unwrap();
    let duration = repeat["duration"].as_f64().unwrap();
    assert!(
        looks >= duration * 10.0 * 0.8,
        "{looks} looks in {duration} s"
    );
    let environment = &world.result()["environment"];
    assert_eq!(environment["driver"], "550.54.15");
    assert_eq!(environment["cuda"], "12.4");
    assert_eq!(environment["clocks_locked"], true);
    let described = &environment["gpus"][0];
    assert_eq!(described["name"], "NVIDIA Stub 80GB");
    assert_eq!(described["power_limit_watts"], 700.0);
    assert_eq!(described["compute_capability"], "9.0");
    assert_eq!(
        (&described["ecc"], &described["persistence"]),
        (&Value::Bool(true), &Value::Bool(true))
    );
    // The stub does not know it, which is not `false`.
    assert_eq!(described["mig"], Value::Null);
}

#[test]
fn a_throttled_repeat_is_void_and_measured_again() {
    let world = World::new();
    world.set(&[("throttle", "72")]);
    let options = ["--repeat", "2", "--num-prompts", "120"];
    let ran = world.run_and(&options, |line| {
        if line.contains(" is void: ") {
            world.set(&[]);
        }
    });
    let ran = ran.expect(0);
    let repeats = world.repeats();
    let void: Vec<&Value> = repeats.iter().map(|repeat| &repeat["void"]).collect();
    let reason = "GPU 0 was throttled (hardware thermal) in 100 % of the repeat";
    assert_eq!(void, [&Value::from(reason), &Value::Null, &Value::Null]);
    assert!(ran.stderr.contains(reason), "{}", ran.stderr);
}

#[test]
fn a_foreign_process_makes_a_repeat_void() {
    let world = World::new();
    // No process has such an id: it is nobody's child.
    world
        .run_in_the_load(&[("process", "4999999 1000000000")])
        .expect(0);
    let repeats = world.repeats();
    assert_eq!(repeats[0]["void"], "GPU 0 was also used by process 4999999");
    assert_eq!(repeats[1]["void"], Value::Null);
    assert_eq!(
        repeats[0]["telemetry"]["gpus"][0]["processes"][0]["foreign"],
        true
    );
}

#[test]
fn errors_of_the_hardware_make_a_repeat_void() {
    for (key, value, reason) in [
        (
            "ecc",
            "3",
            "GPU 0 had 1 uncorrected memory error (ECC) during the repeat",
        ),
        (
            "xid",
            "63",
            "GPU 0 reported the critical error Xid 63; `dmesg` shows more",
        ),
    ] {
        let world = World::new();
        world.run_in_the_load(&[(key, value)]).expect(0);
        let repeats = world.repeats();
        assert_eq!(repeats[0]["void"], reason);
        assert_eq!(repeats[1]["void"], Value::Null);
    }
}

#[test]
fn a_lost_gpu_is_not_measured_and_not_zero() {
    let world = World::new();
    let ran = world.run_and(&LONG, |line| {
        if line.contains(WARMED_UP) {
            into_the_load();
            world.set(&[("lost", "1")]);
        }
    });
    // It does not come back, so no repeat counts.
    let stderr = ran.expect(6).stderr;
    let lost = "GPU 0 is lost: it fell off the bus";
    assert!(
        stderr.contains(&format!("the last one because {lost}")),
        "{stderr}"
    );
    let repeat = &world.repeats()[0];
    assert_eq!(repeat["void"], lost);
    for metric in ["gpu_memory.peak", "gpu_utilization.mean"] {
        assert_eq!(
            repeat["metrics"].get(metric).unwrap_or(&Value::Null),
            &Value::Null
        );
        assert_eq!(repeat["not_measured"][metric], lost);
    }
}

#[test]
fn without_the_library_or_with_another_one_there_is_no_gpu_and_the_run_goes_on() {
    let world = World::new();
    let empty = world.path().join("empty.c");
    write(world.path(), "empty.c", "int nothing(void) { return 0; }\n");
    let other = world.path().join("libother.so");
    build(&empty, &other);
    for library in [world.path().join("libmissing.so"), other] {
        let options = ["--repeat", "1", "--num-prompts", "40"];
        let mut command = world.bench(&options);
        command
            .env("PERFGATE_NVML_LIBRARY", &library)
            .env("PATH", "/nowhere");
        Ran::of(&command.output().unwrap()).expect(0);
        let reason = world.repeats()[0]["not_measured"]["gpu_memory.peak"].clone();
        let reason = reason.as_str().unwrap();
        if library.ends_with("libother.so") {
            assert!(
                reason.ends_with("is not NVML: it has no `nvmlInit_v2`"),
                "{reason}"
            );
        } else {
            assert_eq!(reason, "no GPU was found");
        }
    }
}

#[test]
fn a_run_with_simulated_gpus_does_not_read_real_ones() {
    let world = World::new();
    world.set(&[("throttle", "72")]);
    let mut command = world.bench_on("seed=1", &["--repeat", "1", "--num-prompts", "40"]);
    Ran::of(&command.output().unwrap()).expect(0);
    let gpus = &world.repeats()[0]["telemetry"]["gpus"];
    assert_eq!(gpus[0]["source"], "simulator");
    assert_eq!(gpus.as_array().unwrap().len(), 1);
}
