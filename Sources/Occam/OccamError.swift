import OccamCore
import OccamGGUF
import OccamImages
import OccamMatmul
import OccamModels
import OccamPruning
import OccamTokenizer

/// What went wrong, for a program (`code`), and for a person (`subject` and `message`).
public struct OccamError: Error, Sendable, CustomStringConvertible {
  public enum Code: String, Sendable {
    /// A file cannot be opened, read or written.
    case file
    /// A model file is malformed.
    case invalidModel
    /// A model file is sound, but of an architecture, projector or format that Occam does not run.
    case unsupportedModel
    /// Two files do not fit each other: text model and projector, or model and sidecar.
    case mismatch
    /// Not an image, or a damaged or too large one.
    case invalidImage
    /// The prompt needs more positions than the context holds.
    case promptTooLong
    /// The context is full while generating.
    case contextFull
    /// An option or a prompt that cannot be honoured.
    case invalidOption
    /// The model's chat template failed.
    case template
    case cancelled
  }

  public let code: Code
  /// The file, option or tensor concerned.
  public let subject: String
  public let message: String

  public init(_ code: Code, _ subject: String, _ message: String) {
    self.code = code
    self.subject = subject
    self.message = message
  }

  public var description: String { subject.isEmpty ? message : "\(subject): \(message)" }
}

extension OccamError {
  /// A text model alone was asked about an image.
  public static func cannotSee(_ path: String) -> OccamError {
    OccamError(.mismatch, path, "is a text-only model: to show it images, give its projector file with --mmproj")
  }

  static func projector(_ path: String, outputs: Int, text: String, width: Int) -> OccamError {
    OccamError(.mismatch, path, "projects to width \(outputs), but the text model '\(text)' has width \(width)")
  }
}

/// Runs `body` and turns the rooms' own errors into `OccamError`.
func translating<R>(_ subject: String, _ body: () throws -> R) throws(OccamError) -> R {
  do {
    return try body()
  } catch let error as OccamError {
    throw error
  } catch let error as FileError {
    throw OccamError(.file, "", error.description)
  } catch let error as GGUFError {
    throw OccamError(.invalidModel, "", error.description)
  } catch let error as ModelError {
    let isUnsupported = [.unknownArchitecture, .unknownProjector, .unsupportedFormat].contains(error.code)
    throw OccamError(
      isUnsupported ? .unsupportedModel : error.code == .mismatch ? .mismatch : .invalidModel, error.subject,
      error.reason)
  } catch let error as ImageError {
    throw OccamError(.invalidImage, "", error.description)
  } catch let error as TokenizerError {
    throw OccamError(.invalidModel, "", error.description)
  } catch let error as TemplateError {
    throw OccamError(.template, error.line > 0 ? "\(subject), line \(error.line)" : subject, error.reason)
  } catch let error as PruningError {
    throw OccamError(.invalidOption, "", error.description)
  } catch let error as MatmulError {
    throw OccamError(.invalidOption, "", error.description)
  } catch is Cancelled {
    throw OccamError(.cancelled, "", "cancelled")
  } catch {
    throw OccamError(.invalidModel, subject, "\(error)")
  }
}
