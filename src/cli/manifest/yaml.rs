//! Pieces of YAML: quoted texts and indented blocks.

/// A text in double quotes: JSON's are YAML's (YAML 1.2.2 section 7.3.1), and no text means something else in them.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// `block` moved right by `spaces`; empty lines stay empty.
pub(super) fn indented(block: &str, spaces: usize) -> String {
    let line = |line: &str| if line.is_empty() { "\n".to_owned() } else { format!("{:spaces$}{line}\n", "") };
    block.lines().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_quoted_and_blocks_indented() {
        assert_eq!(quoted("yes"), r#""yes""#);
        assert_eq!(quoted("a: \"b\"\n{c} # \\"), r#""a: \"b\"\n{c} # \\""#);
        assert_eq!(indented("a:\n\n  b\n", 2), "  a:\n\n    b\n");
    }
}
