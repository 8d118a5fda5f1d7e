//! Help, completions, manual pages, and errors that all commands share.

use crate::support::Program;

#[tokio::test]
async fn completions_exist_for_each_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = Program::new(&["completions", shell]).run().await.succeeded();
        assert!(script.contains("millrace") && script.contains("queue"), "{shell}");
    }
    Program::new(&["completions", "tcsh"]).run().await.failed(2, &["invalid value 'tcsh'"]);
}

#[tokio::test]
async fn each_subcommand_has_a_manual_page() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("man").display().to_string();
    let run = Program::new(&["manual", &path]).run().await;
    assert!(run.stderr.contains("the pages are in"), "{run:?}");
    run.succeeded();
    for page in ["millrace.1", "millrace-queue.1"] {
        let text = std::fs::read_to_string(folder.path().join("man").join(page)).expect("the page exists");
        assert!(text.contains(".SH NAME"), "{page}");
    }
    let refused = Program::new(&["manual", "/proc/none"]).run().await;
    refused.failed(2, &["cannot write to /proc/none", "next:  pass a folder"]);
}

#[tokio::test]
async fn errors_of_usage_have_the_exit_code_2() {
    Program::new(&[]).run().await.failed(2, &["Usage: millrace"]);
    Program::new(&["fly"]).run().await.failed(2, &["unrecognized subcommand 'fly'"]);
    Program::new(&["queue"]).run().await.failed(2, &["<PLAYER>"]);
}

#[tokio::test]
async fn a_stage_needs_credentials() {
    let run = Program::new(&["queue", "p-1", "--stage", "dev"]).env("AWS_REGION", "us-east-1").run().await;
    run.failed(4, &["cannot read the outputs of the stack", "next:  log in to AWS"]);
}
