//! What one `vault.toml` protects less than another, in words: said where somebody commits it, because a rule that
//! lets more pass is easily written by accident, or by another device.

use super::{Class, Limits, PathRule, VaultRules};

impl VaultRules {
    /// Returns what `new` lets pass that these rules do not, one item each; nothing if it is at least as strict.
    pub fn loosened_by(&self, new: &VaultRules) -> Vec<String> {
        let mut loosened = limits(self.limits, new.limits);
        let more = new.false_alarms.iter().filter(|known| !self.is_false_alarm(known)).count();
        if more > 0 {
            loosened.push(format!("secrets.allow names {more} more"));
        }
        let has = |rules: &VaultRules, glob: &str, test: &dyn Fn(&PathRule) -> bool| {
            rules.paths.iter().any(|rule| rule.glob == glob && test(rule))
        };
        for rule in &new.paths {
            for code in rule.allow.iter().flatten() {
                let known = |old: &PathRule| old.allow.as_ref().is_some_and(|codes| codes.contains(code));
                if !has(self, &rule.glob, &known) {
                    loosened.push(format!("{} allows {code}", rule.glob));
                }
            }
            if rule.class == Some(Class::Note)
                && !has(self, &rule.glob, &|old| old.class == Some(Class::Note))
            {
                loosened.push(format!("{} are notes", rule.glob));
            }
        }
        for rule in &self.paths {
            let class = rule.class.filter(|class| *class != Class::Note);
            if class.is_some() && !has(new, &rule.glob, &|new| new.class == class) {
                loosened.push(format!("{} lose their class", rule.glob));
            }
            if rule.syntax.is_some() && !has(new, &rule.glob, &|new| new.syntax == rule.syntax) {
                loosened.push(format!("the syntax of {} is not looked at", rule.glob));
            }
        }
        loosened
    }
}

fn limits(old: Limits, new: Limits) -> Vec<String> {
    let all = [
        ("limits.file_mib", old.file_bytes_max >> 20, new.file_bytes_max >> 20),
        ("limits.delete_files", old.delete_files, new.delete_files),
        ("limits.delete_percent", old.delete_percent, new.delete_percent),
    ];
    let raised = all.iter().filter(|(_, old, new)| new > old);
    raised.map(|(name, old, new)| format!("{name} goes from {old} to {new}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lets_more_pass_is_named_and_nothing_else() {
        let parse = |text: &str| VaultRules::parse(Some(text.as_bytes())).expect("valid");
        let defaults = VaultRules::default();
        for text in
            ["", "# a\n", "[limits]\ndelete_files = 5\n", "[[path]]\nmatch = '/a'\nclass = 'canonical'\n"]
        {
            assert_eq!(defaults.loosened_by(&parse(text)), [""; 0], "{text}");
        }
        for (text, wanted) in [
            ("[limits]\ndelete_files = 500\n", "limits.delete_files goes from 20 to 500"),
            ("[[path]]\nmatch = '*.md'\nallow = ['secret']\n", "*.md allows secret"),
            ("[[path]]\nmatch = '/continuity.md'\nclass = 'note'\n", "/continuity.md are notes"),
            ("[secrets]\nallow = ['ab']\n", "secrets.allow names 1 more"),
        ] {
            assert_eq!(defaults.loosened_by(&parse(text)), [wanted], "{text}");
        }
        let strict = parse("[[path]]\nmatch = '/a'\nclass = 'canonical'\nsyntax = 'json'\n");
        assert_eq!(
            strict.loosened_by(&defaults),
            ["/a lose their class", "the syntax of /a is not looked at"]
        );
    }
}
