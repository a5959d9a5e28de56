//! `perfgate baseline verify`: checks that all files are complete and consistent.

use super::super::Context;
use super::Opened;
use crate::app::output::print;
use crate::baseline;
use crate::cli::baseline::VerifyArgs;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::terminal::Output;
use crate::text::count::count;
use crate::text::sanitize;

pub(super) fn run(args: &VerifyArgs, context: &Context) -> Result<ExitStatus, Failure> {
    let opened = Opened::of(&args.storage, context)?;
    let chosen = opened.all(args.name.as_deref())?;
    let mut text = String::new();
    let mut wrong = 0;
    for chosen in &chosen {
        let found = baseline::verify(&chosen.place, &chosen.hardware)?;
        let result = match found.len() {
            0 => "complete and consistent".to_owned(),
            problems => count(problems, "problem"),
        };
        wrong += found.len();
        text += &format!("{} on {}: {result}\n", chosen.name, chosen.hardware);
        for finding in found {
            text.push_str(&format!(
                "  {}: {}\n    fix: {}\n",
                sanitize::line(&finding.at),
                sanitize::line(&finding.what),
                finding.fix
            ));
        }
    }
    opened.warn_of_copies();
    print(Output::Text, &text)?;
    Ok(if wrong == 0 {
        ExitStatus::Pass
    } else {
        ExitStatus::Usage
    })
}
