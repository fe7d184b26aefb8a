import OccamCore

/// How one flag is written and what it takes, whatever its type.
package struct FlagSpec: Sendable {
  /// With their dashes, short ones first: `-m`, `-mm`, `--model`.
  package let names: [String]
  /// Stands for the value in the help; nil for a switch.
  package let placeholder: String?
  package let help: String
  /// The value taken when the flag is missing, as the help shows it.
  package let fallback: String?
  /// What a value must be: "a whole number of 0 or more".
  package let expected: String
  package let accepts: @Sendable (String) -> Bool
  /// What a shell can complete a value by.
  package let values: Values

  package enum Values: Sendable, Equatable {
    case any, files
    case choices([String])
  }

  /// The name for messages: the longest.
  package var name: String { names.max { $0.count < $1.count } ?? "" }
}

/// A typed flag. Declared once, listed in a `CommandLineSpec`, and read from the parsed `Arguments`.
package struct Flag<Value: Sendable>: Sendable {
  package let spec: FlagSpec
  package let fallback: Value?
  let decode: @Sendable (String) -> Value?

  /// - Parameter expected: what a value must be, for error messages.
  package init(
    names: [String], placeholder: String?, help: String, fallback: Value?, fallbackText: String? = nil,
    expected: String, values: FlagSpec.Values = .any, decode: @escaping @Sendable (String) -> Value?
  ) {
    precondition(names.allSatisfy { $0.hasPrefix("-") && $0.count > 1 && !$0.contains("=") }, "Flag: \(names)")
    precondition(!names.isEmpty, "Flag without a name")
    self.fallback = fallback
    self.decode = decode
    spec = FlagSpec(
      names: names, placeholder: placeholder, help: help, fallback: fallbackText ?? fallback.map { "\($0)" },
      expected: expected, accepts: { decode($0) != nil }, values: values)
  }
}

extension Flag where Value == Bool {
  /// A switch: given or not.
  package static func toggle(_ names: String..., help: String) -> Flag {
    Flag(
      names: names, placeholder: nil, help: help, fallback: false, fallbackText: "", expected: "no value",
      decode: { $0.isEmpty ? true : nil })
  }
}

extension Flag where Value == String {
  package static func text(
    _ names: String..., value: String = "TEXT", default fallback: String? = nil, help: String
  ) -> Flag {
    Flag(names: names, placeholder: value, help: help, fallback: fallback, expected: "a text", decode: { $0 })
  }

  /// A file or folder to read or write; the empty text is none.
  package static func file(_ names: String..., value: String = "FILE", help: String) -> Flag {
    Flag(
      names: names, placeholder: value, help: help, fallback: nil, expected: "the name of a file", values: .files,
      decode: { $0.isEmpty ? nil : $0 })
  }
}

extension Flag where Value == Int {
  package static func integer(
    _ names: String..., value: String = "N", in range: ClosedRange<Int> = Int.min...Int.max,
    default fallback: Int? = nil, defaultText: String? = nil, help: String
  ) -> Flag {
    Flag(
      names: names, placeholder: value, help: help, fallback: fallback, fallbackText: defaultText,
      expected: "a whole number\(bounds(range, least: .min, most: .max))",
      decode: { Int($0).flatMap { range.contains($0) ? $0 : nil } })
  }
}

extension Flag where Value == Float {
  /// A finite number in `range`.
  package static func number(
    _ names: String..., value: String = "N",
    in range: ClosedRange<Float> = -Float.greatestFiniteMagnitude...Float.greatestFiniteMagnitude,
    default fallback: Float? = nil, defaultText: String? = nil, help: String
  ) -> Flag {
    let most = Float.greatestFiniteMagnitude
    return Flag(
      names: names, placeholder: value, help: help, fallback: fallback, fallbackText: defaultText,
      expected: "a number\(bounds(range, least: -most, most: most))",
      decode: { Float($0).flatMap { range.contains($0) ? $0 : nil } })
  }
}

extension Flag where Value: RawRepresentable & CaseIterable, Value.RawValue == String {
  /// One of an enumeration's raw values.
  package static func choice(_ names: String..., default fallback: Value? = nil, help: String) -> Flag {
    let choices = Value.allCases.map(\.rawValue)
    return Flag(
      names: names, placeholder: choices.joined(separator: "|"), help: help, fallback: fallback,
      fallbackText: fallback?.rawValue, expected: "one of \(choices.joined(separator: ", "))",
      values: .choices(choices), decode: { Value(rawValue: $0) })
  }
}

private func bounds<T: Comparable>(_ range: ClosedRange<T>, least: T, most: T) -> String {
  switch (range.lowerBound == least, range.upperBound == most) {
  case (true, true): ""
  case (false, true): " of \(range.lowerBound) or more"
  case (true, false): " of \(range.upperBound) or less"
  case (false, false): " from \(range.lowerBound) to \(range.upperBound)"
  }
}
