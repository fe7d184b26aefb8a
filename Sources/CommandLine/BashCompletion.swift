extension CommandLineSpec {
  /// A completion script for bash: names of flags, values of those that take one of a few words, files for the others
  /// that name some, and for operands.
  package func bashCompletion() -> String {
    let function = "_" + tool.map { $0 == "-" ? "_" : String($0) }.joined()
    let flags = groups.flatMap(\.flags)
    var text = """
      # Completion of \(tool) for bash, made by: \(tool) --generate bash
      \(function)() {
        local current=${COMP_WORDS[COMP_CWORD]} flag=${COMP_WORDS[COMP_CWORD - 1]}
        # bash cuts --flag=value into three words.
        if [[ $current == "=" ]]; then
          current=
        elif [[ $flag == "=" ]]; then
          flag=${COMP_WORDS[COMP_CWORD - 2]}
        fi
        COMPREPLY=()
        case $flag in

      """
    let files = flags.filter { $0.values == .files }.flatMap(\.names)
    if !files.isEmpty { text += "    \(files.joined(separator: " | "))) \(function)_files ;;\n" }
    for flag in flags {
      guard case .choices(let words) = flag.values else { continue }
      let list = words.joined(separator: " ")
      text += "    \(flag.names.joined(separator: " | "))) "
      text += "mapfile -t COMPREPLY < <(compgen -W '\(list)' -- \"$current\") ;;\n"
    }
    let others = flags.filter { $0.placeholder != nil && $0.values == .any }.flatMap(\.names)
    if !others.isEmpty { text += "    \(others.joined(separator: " | "))) ;;\n" }
    let names = flags.flatMap(\.names).joined(separator: " ")
    return text + """
          *)
            if [[ $current == -* ]]; then
              mapfile -t COMPREPLY < <(compgen -W '\(names)' -- "$current")
            else
              \(function)_files
            fi
            ;;
        esac
      }
      \(function)_files() {
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
      }
      complete -F \(function) \(tool)

      """
  }
}
