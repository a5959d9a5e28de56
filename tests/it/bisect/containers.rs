//! A search whose commits are built into images.

use super::history::History;
use super::search::WIDE;
use crate::launch::image::{docker, image, volumes};
use crate::support::{json, write};

/// The images of the commits, removed at the end: nobody else knows them.
struct Images<'a>(&'a History);

impl Drop for Images<'_> {
    fn drop(&mut self) {
        for commit in &self.0.commits {
            // One that was never asked about has none.
            let _absent = docker(&[
                "image",
                "rm",
                "--force",
                &format!("perfgate-bisect:{commit}"),
            ]);
        }
    }
}

#[test]
fn each_commit_is_started_from_the_image_that_its_own_dockerfile_makes() {
    let Some(image) = image() else { return };
    let mut history = History::new();
    // Not TPOT: a container that is short of CPU packs several tokens into a chunk.
    write(
        history.path(),
        "thresholds.yaml",
        &WIDE.replace("tpot.p50", "e2e.p50"),
    );
    let plan = format!(
        "name: demo\nmodel: tiny-llm\nserver: {{docker: {{image: \"{{image}}\", args: [simulate], pull: never, \
         volumes: [{}]}}}}\nnum_requests: 24\nconcurrency: 8\ninput_tokens: 16\n\
         output_tokens: 16\nwarmup_requests: 8\nrepeat: 3\n",
        volumes()
    );
    write(history.path(), "perfgate.yaml", &plan);
    for (index, options) in ["", "--decode-slowdown 2"].iter().enumerate() {
        let dockerfile = format!("FROM {image}\nENV SIMULATOR_OPTIONS=\"{options}\"\n");
        write(history.path(), "Dockerfile", &dockerfile);
        history.commit(&format!("change {index}"));
    }
    let images = Images(&history);
    let build = "docker build --quiet --tag {image} .";
    // Nothing lies between the ends, so git has nothing to ask about.
    history.start(&["--build", build]).expect(0);
    let summary = json(&history.state("summary.json"));
    assert_eq!(summary["outcome"], "found", "{summary}");
    let steps = summary["steps"].as_array().unwrap();
    let confirmed = steps.last().unwrap();
    assert_eq!(confirmed["commit"]["id"], history.commits[1].as_str());
    drop(images);
}
