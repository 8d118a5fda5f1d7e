//! The help that the documentation shows is the real one.

use std::{collections::BTreeSet, env, fs};

use millrace_tests::binary::workspace;

use crate::support::Program;

const START: &str = "```text\n$ millrace ";
const END: &str = "\n```\n";

/// A block of a page that begins with `$ millrace ... --help`.
struct HelpBlock<'a> {
    arguments: &'a str,
    /// The text behind the command.
    shown: &'a str,
}

fn blocks(page: &str) -> Vec<HelpBlock<'_>> {
    let blocks = page.split(START).skip(1).filter_map(|rest| rest.split_once(END)).map(|(block, _)| block);
    let blocks = blocks.filter_map(|block| block.split_once('\n'));
    let blocks = blocks.filter(|(arguments, _)| arguments.ends_with("--help"));
    blocks.map(|(arguments, shown)| HelpBlock { arguments, shown }).collect()
}

/// The help as it is printed on a terminal of 100 columns, without spaces at the ends of lines.
async fn help(arguments: &str) -> String {
    let arguments: Vec<&str> = arguments.split(' ').collect();
    let text = Program::new(&arguments).run().await.succeeded();
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// With `MILLRACE_UPDATE_DOCS` in its environment, this test corrects the page.
#[tokio::test]
async fn the_page_shows_the_help_of_every_subcommand() {
    let path = workspace().join("docs/cli.md");
    let page = fs::read_to_string(&path).expect("the page is readable");
    let mut corrected = page.clone();
    for HelpBlock { arguments, shown } in blocks(&page) {
        let real = help(arguments).await;
        let block = |text: &str| format!("{START}{arguments}\n{text}{END}");
        corrected = corrected.replace(&block(shown), &block(&real));
    }
    if env::var_os("MILLRACE_UPDATE_DOCS").is_some() {
        fs::write(&path, &corrected).expect("the page is writable");
    } else {
        assert!(page == corrected, "docs/cli.md is outdated: run this test with MILLRACE_UPDATE_DOCS=1");
    }
    let shown: BTreeSet<String> = blocks(&page).iter().map(|block| block.arguments.to_owned()).collect();
    let subcommands = help("--help").await;
    let subcommands =
        subcommands.split("Commands:\n").nth(1).and_then(|rest| rest.split("\n\n").next()).expect("a list");
    let names = subcommands.lines().filter_map(|line| line.strip_prefix("  ")).filter(|line| !line.starts_with(' '));
    for name in names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help") {
        assert!(shown.contains(&format!("{name} --help")), "docs/cli.md does not show the help of {name}");
    }
    assert!(shown.contains("--help"));
}
