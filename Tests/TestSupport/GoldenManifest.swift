import OccamCore

/// What is wrong with a golden file.
package struct GoldenError: Error, CustomStringConvertible {
  package let description: String
}

extension JSONValue {
  package func member<T>(_ name: String, _ value: KeyPath<JSONValue, T?>) throws -> T {
    guard let result = self[name]?[keyPath: value] else {
      throw GoldenError(description: "manifest: no usable '\(name)'")
    }
    return result
  }

  package func integers(_ name: String) throws -> [Int] {
    try member(name, \.arrayValue).map { element in
      guard let number = element.intValue else {
        throw GoldenError(description: "manifest: '\(name)' holds more than integers")
      }
      return number
    }
  }
}

/// The arrays of a folder, each read once.
struct GoldenArrays {
  private let folder: String
  private var read: [String: NumPyArray] = [:]

  init(folder: String) { self.folder = folder }

  subscript(name: String) -> NumPyArray {
    mutating get throws {
      if let array = read[name] { return array }
      let array = try NumPyArray(path: "\(folder)/\(name).npy")
      read[name] = array
      return array
    }
  }
}
