//! Words and phrases that the writing style excludes, in names, comments, messages and documents.
//! They are listed in `tests/structure/forbidden_words.txt`.
//!
//! Words are compared as a whole and without regard to case. An underscore ends a word, so names of
//! tests are checked too. A phrase may continue on the next line of a comment.

use crate::{source::SourceFile, violation::Violation};

const RULE: &str = "forbidden_words";
const LIST: &str = include_str!("../../forbidden_words.txt");
/// The characters that may separate two words of a phrase, in addition to white space. They occur
/// in marks of comments and in names.
const SEPARATORS: &str = "/!*>#_-";

/// One violation for each place where a listed phrase occurs.
pub fn check(file: &SourceFile) -> Vec<Violation> {
    let phrases = LIST.lines().filter(|phrase| !phrase.is_empty());
    let phrases: Vec<Vec<&str>> = phrases.map(|phrase| phrase.split(' ').collect()).collect();
    let words = words(&file.text);
    let mut violations = Vec::new();
    for at in 0..words.len() {
        for phrase in phrases.iter().filter(|phrase| begins_with(&words[at..], phrase, &file.text)) {
            let line = file.text[..words[at].start].matches('\n').count() + 1;
            let message = format!("the writing style excludes \"{}\"", phrase.join(" "));
            violations.push(Violation { file: file.path.clone(), line, rule: RULE, message });
        }
    }
    violations
}

/// A word and where it is in the text.
struct Word {
    start: usize,
    end: usize,
    lower_case: String,
}

fn words(text: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let mut start = None;
    for (at, character) in text.char_indices().chain([(text.len(), ' ')]) {
        match (start, character.is_alphanumeric()) {
            (None, true) => start = Some(at),
            (Some(begin), false) => {
                words.push(Word { start: begin, end: at, lower_case: text[begin..at].to_lowercase() });
                start = None;
            }
            _ => {}
        }
    }
    words
}

fn begins_with(words: &[Word], phrase: &[&str], text: &str) -> bool {
    if words.len() < phrase.len() || words.iter().zip(phrase).any(|(word, expected)| word.lower_case != *expected) {
        return false;
    }
    words[..phrase.len()].windows(2).all(|pair| {
        let between = &text[pair[0].end..pair[1].start];
        between.chars().all(|character| character.is_whitespace() || SEPARATORS.contains(character))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        let file = SourceFile::new(path, text).expect("a file that the rules read");
        check(&file).into_iter().map(|violation| violation.line).collect()
    }

    #[test]
    fn every_listed_phrase_is_refused() {
        for phrase in LIST.lines() {
            assert_eq!(lines("a.md", &format!("One\nThe {phrase}.\n")), [2], "{phrase}");
            assert_eq!(lines("a.rs", &format!("fn is_{}_here() {{}}", phrase.replace(' ', "_"))), [1], "{phrase}");
        }
    }

    #[test]
    fn a_phrase_may_continue_on_the_next_line_of_a_comment() {
        let phrase = LIST.lines().find(|phrase| phrase.contains(' ')).expect("a phrase of two words");
        let text = phrase.replacen(' ', "\n    /// ", 1);
        assert_eq!(lines("a.rs", &format!("/// {text}\n")), [1]);
        assert_eq!(lines("a.ts", &format!("const a = '{}';\n", phrase.replacen(' ', ". ", 1))), [0; 0]);
    }

    #[test]
    fn longer_words_are_allowed() {
        assert_eq!(lines("a.md", "We recommend and amend."), [0; 0]);
    }
}
